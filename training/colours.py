"""Colours of training pages: grounds, inks that can be read on them, and what lies between."""

import random

Colour = tuple[float, float, float]
"""Red, green and blue in [0, 1]."""


def colour(rng: random.Random) -> Colour:
    """Any colour."""
    return (rng.random(), rng.random(), rng.random())


def mixed(first: Colour, second: Colour, share: float) -> Colour:
    """A colour between two; `share` of the second."""
    r, g, b = ((1 - share) * x + share * y for x, y in zip(first, second, strict=True))
    return (r, g, b)


def light(colour: Colour) -> float:
    """How bright a colour looks, in [0, 1]."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def ink(rng: random.Random, ground: Colour) -> Colour:
    """A colour that can be read on a ground."""
    if light(ground) > 0.6 and rng.random() < 0.6:
        return (0, 0, 0)
    for _ in range(20):
        ink = colour(rng)
        if abs(light(ink) - light(ground)) > 0.35:
            return ink
    return (0, 0, 0) if light(ground) > 0.5 else (1, 1, 1)
