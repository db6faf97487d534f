"""Two pages and two questions of known order: an engine that gets them wrong has a wrong template."""

from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

_SIZE = (640, 480)


@dataclass(frozen=True, slots=True)
class Pair:
    """A question, the lines of the page that answers it, and its number among the probe pages."""

    question: str
    lines: tuple[str, ...]


PAIRS = (
    Pair(
        "What was the annual revenue of the company in 2023?",
        (
            "Annual report 2023",
            "Revenue of the company",
            "2023: 5,120 million dollars",
            "2022: 4,870 million",
        ),
    ),
    Pair(
        "How much flour and how many eggs does the pancake recipe need?",
        ("Pancake recipe", "250 g flour", "3 eggs", "Whisk with half a litre of milk"),
    ),
)


def pages() -> list[Image.Image]:
    """One page a pair, in order: its lines in black on white."""
    return [_page(pair.lines) for pair in PAIRS]


def texts() -> list[str]:
    """The pages' text layers."""
    return ["\n".join(pair.lines) for pair in PAIRS]


def complaint(scores: Sequence[Sequence[float]]) -> str:
    """What is wrong with an engine's scores for the pairs; empty where every question finds its page.

    Args:
        scores: for each question, the scores of the two pages, in order.
    """
    for number, (pair, (first, second)) in enumerate(zip(PAIRS, scores, strict=True)):
        right, wrong = (first, second) if number == 0 else (second, first)
        if not right > wrong:
            return (
                f"asked {pair.question!r}, it scores the page that answers {right:.4g} and one that has "
                "nothing to "
                f"do with it {wrong:.4g}; its chat template, pooling or model is wrong (probe=False skips "
                "this test)"
            )
    return ""


def _page(lines: Sequence[str]) -> Image.Image:
    image = Image.new("RGB", _SIZE, "white")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        font = ImageFont.load_default(size=44 if number == 0 else 34)
        draw.text((40, 40 + 90 * number), line, fill="black", font=font)
    return image
