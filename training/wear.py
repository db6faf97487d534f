"""Wears a rendered page: scanner noise, blur, JPEG, faded ink, the resampling that production does."""

import io
import random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

_FILTERS = [
    Image.Resampling.BOX,
    Image.Resampling.BILINEAR,
    Image.Resampling.LANCZOS,
    Image.Resampling.BICUBIC,
]


def worn(image: NDArray[np.uint8], rng: random.Random, *, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Bring a picture to (width, height) and damage it as scanners, cameras and converters do."""
    picture = Image.fromarray(image)
    if rng.random() < 0.08:
        picture = picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 1.1)))
    picture = picture.resize(size, rng.choice(_FILTERS))
    if rng.random() < 0.12:
        coded = io.BytesIO()
        picture.save(coded, "JPEG", quality=rng.randint(25, 90))
        picture = Image.open(coded)
    values = np.asarray(picture, np.float32)
    if rng.random() < 0.06:
        values = 255 - values
    if rng.random() < 0.3:
        low, high = rng.uniform(0, 80), rng.uniform(170, 255)
        values = (low + values * (high - low) / 255).astype(np.float32)
    if rng.random() < 0.2:
        noise = np.random.default_rng(rng.getrandbits(32)).normal(0, rng.uniform(2, 14), values.shape)
        values = values + noise.astype(np.float32)
    return np.clip(values, 0, 255).astype(np.uint8)
