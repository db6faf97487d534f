"""Image files as documents, by Pillow: each frame is a page. Loaded in worker processes only."""

from pathlib import Path

from PIL import Image, ImageOps

from domain.errors import DocumentError
from ingest.engine import Drawn, Outline, Text
from ingest.limits import Limits
from ingest.picture import without_empty_colour

_FORMATS = ("PNG", "JPEG", "TIFF", "WEBP")
_WIDE_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")


class PhotoDocument:
    """A PNG, JPEG, TIFF or WebP file."""

    def __init__(self, path: Path, limits: Limits) -> None:
        """Open it, without decoding.

        Raises:
            DocumentError: it has more pixels than the limits allow.
        """
        Image.MAX_IMAGE_PIXELS = None  # our own check, which refuses where Pillow would only warn
        self._path = path
        self._limits = limits
        self._image = Image.open(path, formats=_FORMATS)
        self._check()

    def outline(self) -> Outline:
        """Count the frames; only a TIFF's are pages, an animation is its first picture."""
        frames = int(getattr(self._image, "n_frames", 1)) if self._image.format == "TIFF" else 1
        return Outline(frames, "", {"format": str(self._image.format)})

    def draw(self, number: int) -> Drawn:
        """Decode a frame, upright as its EXIF says, without transparency, within the pixel limits."""
        if self._image.format == "TIFF":
            self._image.seek(number - 1)
            self._check()
        zoom = self._limits.zoom(self._image.width, self._image.height)
        zoom = min(1.0, zoom) if max(self._image.size) >= self._limits.min_side_px else zoom
        size = (max(1, round(self._image.width * zoom)), max(1, round(self._image.height * zoom)))
        self._image.draft("RGB", size)
        image = _opaque(_reduced(self._image, size))
        image = image if image.size == size else image.resize(size, Image.Resampling.LANCZOS)
        turned = ImageOps.exif_transpose(_with_orientation(image, self._image))
        if number == 1 and self._image.format != "TIFF":
            self._image = Image.open(self._path, formats=_FORMATS)  # drafting and loading are final
        return Drawn(without_empty_colour(turned), Text())

    def close(self) -> None:
        """Let go of the file."""
        self._image.close()

    def _check(self) -> None:
        width, height = self._image.size
        if width * height > self._limits.max_image_pixels:
            raise DocumentError(
                "too_large",
                f"it has {width:,} x {height:,} pixels, more than "
                f"{self._limits.max_image_pixels:,}; scale it down",
            )


def _reduced(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    factor = min(image.width // size[0], image.height // size[1])
    if factor < 2 or image.mode in ("P", "PA", "1", *_WIDE_MODES):
        image.load()
        return image
    return image.reduce(factor)


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode in _WIDE_MODES:
        return _narrow(image)
    if image.mode in ("1", "L"):
        return image.convert("L")
    if "A" in image.getbands() or "transparency" in image.info:
        seen = image.convert("RGBA")
        paper = Image.new("RGBA", seen.size, "white")
        paper.alpha_composite(seen)
        return paper.convert("RGB")
    return image.convert("RGB")


def _narrow(image: Image.Image) -> Image.Image:
    wide = image.convert("F")
    low, high = wide.getextrema()
    top = 65535.0 if image.mode != "F" and float(high) > 255 else max(float(high), 1.0)  # type: ignore[arg-type]  # one band
    floor = min(float(low), 0.0)  # type: ignore[arg-type]  # one band
    return wide.point(lambda level: level * (255.0 / (top - floor)) - floor * 255.0 / (top - floor)).convert(
        "L"
    )


def _with_orientation(image: Image.Image, source: Image.Image) -> Image.Image:
    orientation = source.getexif().get(0x0112, 1)
    plain = image.copy()
    plain.info.clear()
    plain.getexif().clear()
    plain.getexif()[0x0112] = orientation
    return plain
