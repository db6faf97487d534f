import io

import pytest
from PIL import Image

from domain.errors import DocumentError
from ingest.render import FailedPage, Rendered, Renderer
from tests.ingest import bombs

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def halves(mode: str = "RGB", size: tuple[int, int] = (800, 1000)) -> Image.Image:
    """Red on the left, blue on the right."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (size[0] // 2, 0, *size))
    return image.convert(mode)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def near(colour: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return all(abs(a - b) < 30 for a, b in zip(colour, wanted, strict=True))


def opened(page: Rendered | FailedPage) -> Image.Image:
    assert isinstance(page, Rendered), page
    image = Image.open(io.BytesIO(page.image))
    assert image.size == (page.width_px, page.height_px)
    assert page.renderer == "pillow"
    return image.convert("RGB")


def one(renderer: Renderer, path) -> Image.Image:
    assert renderer.probe(path).pages == 1
    (page,) = renderer.pages(path, [1])
    return opened(page)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP"])
def test_an_image_file_is_a_document_of_one_page(kind, renderer, saved):
    path = saved(encoded(halves(), kind), "scan.bin")
    assert renderer.probe(path).kind == "image"
    image = one(renderer, path)
    assert near(image.getpixel((10, 500)), RED)
    assert near(image.getpixel((790, 500)), BLUE)


def test_every_frame_of_a_tiff_is_a_page(renderer, saved):
    frames = [Image.new("RGB", (300 + 100 * n, 400), (60 * n, 0, 0)) for n in range(4)]
    path = saved(encoded(frames[0], "TIFF", save_all=True, append_images=frames[1:]), "fax.tiff")
    assert renderer.probe(path).pages == 4
    pages = list(renderer.pages(path, [3, 1, 4, 2]))
    assert [
        near(opened(p).getpixel((5, 5)), (60 * n, 0, 0)) for p, n in zip(pages, (2, 0, 3, 1), strict=True)
    ]
    ratios = [round(page.width_px / page.height_px, 2) for page in pages]
    assert ratios == [1.25, 0.75, 1.5, 1.0]


def test_a_frame_past_the_end_fails(renderer, saved):
    (page,) = renderer.pages(saved(encoded(halves(), "TIFF"), "fax.tiff"), [2])
    assert isinstance(page, FailedPage)


@pytest.mark.parametrize(
    ("orientation", "red", "size"),
    [
        (1, "left", (800, 1000)),
        (3, "right", (800, 1000)),
        (6, "top", (1000, 800)),
        (8, "bottom", (1000, 800)),
    ],
)
def test_a_photograph_is_turned_as_its_exif_says(orientation, red, size, renderer, saved):
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = one(renderer, saved(encoded(halves(), "JPEG", exif=exif), "photo.jpg"))
    middle = {
        "left": (20, size[1] // 2), "right": (size[0] - 20, size[1] // 2),
        "top": (size[0] // 2, 20), "bottom": (size[0] // 2, size[1] - 20),
    }  # fmt: skip
    assert image.size == size
    assert near(image.getpixel(middle[red]), RED)


def test_what_is_transparent_becomes_white_paper(renderer, saved):
    clear = Image.new("RGBA", (600, 600), (0, 0, 0, 0))
    clear.paste((255, 0, 0, 255), (0, 0, 300, 600))
    image = one(renderer, saved(encoded(clear, "PNG"), "logo.png"))
    assert near(image.getpixel((100, 300)), RED)
    assert near(image.getpixel((500, 300)), WHITE)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16", "I", "F"])
def test_every_kind_of_pixel_becomes_a_picture(mode, renderer, saved):
    ramp = Image.linear_gradient("L").resize((600, 600))
    if mode in {"I;16", "I", "F"}:
        ramp = Image.merge("L", [ramp]).convert("I").point(lambda level: level * 257)
        ramp = ramp.convert(mode)
    else:
        ramp = ramp.convert(mode) if mode != "P" else ramp.convert("RGB").convert("P")
    image = one(
        renderer,
        saved(encoded(ramp, "PNG" if mode in {"1", "L", "LA", "P", "RGBA", "I;16"} else "TIFF"), "x"),
    )
    dark, light = image.getpixel((300, 5))[0], image.getpixel((300, 595))[0]
    assert dark < 40
    assert light > 215


def test_a_large_image_is_scaled_down_and_keeps_its_shape(renderer, saved):
    image = one(renderer, saved(encoded(halves(size=(6000, 3000)), "PNG"), "large.png"))
    assert image.width * image.height <= 2_220_000
    assert image.width / image.height == pytest.approx(2, abs=0.01)


def test_a_white_image_is_blank_and_a_drawing_is_not(renderer, saved):
    (white,) = renderer.pages(saved(encoded(Image.new("RGB", (700, 900), "white"), "PNG"), "a.png"), [1])
    (drawn,) = renderer.pages(saved(encoded(halves(), "PNG"), "b.png"), [1])
    assert white.blank
    assert not drawn.blank


def test_a_truncated_image_fails_and_is_not_shown_in_part(renderer, saved):
    data = encoded(Image.effect_noise((900, 900), 80), "JPEG")
    (page,) = renderer.pages(saved(data[: len(data) // 2], "half.jpg"), [1])
    assert isinstance(page, FailedPage)
    assert page.failure.code == "corrupt"


def test_a_picture_of_too_many_pixels_is_refused_by_name(renderer, saved):
    path = saved(bombs.png_bomb(20_000), "bomb.png")
    with pytest.raises(DocumentError, match=r"bomb\.png.*20,000 x 20,000 pixels"):
        renderer.probe(path)
