"""How much of a page is drawn without words."""

import pytest
from PIL import Image, ImageDraw, ImageFont

from domain.page import Box
from ingest.picture import wordless
from library.contents import WORDLESS


def page(lines: int) -> tuple[Image.Image, list[Box]]:
    """A page of text lines, and where they stand."""
    image = Image.new("L", (850, 1100), "white")
    draw, boxes = ImageDraw.Draw(image), []
    for line in range(lines):
        where = (80, 60 + 40 * line)
        draw.text(where, "consolidated statements of income", fill="black", font=ImageFont.load_default(28))
        left, top, right, bottom = draw.textbbox(
            where, "consolidated statements of income", font=ImageFont.load_default(28)
        )
        boxes.append(Box(left / 850, top / 1100, right / 850, bottom / 1100))
    return image, boxes


def test_a_page_whose_words_are_all_known_has_next_to_none_and_one_that_was_scanned_much() -> None:
    image, boxes = page(24)
    whole = wordless(image, [])
    assert whole > 10 * WORDLESS
    assert wordless(image, boxes) < WORDLESS / 4
    assert wordless(image, boxes[:12]) == pytest.approx(whole / 2, rel=0.2)


def test_areas_of_one_colour_and_rules_are_not_counted() -> None:
    image = Image.new("RGB", (850, 1100), "white")
    image.paste("navy", (0, 0, 850, 400))
    for row in range(30):
        ImageDraw.Draw(image).line((40, 420 + 20 * row, 810, 420 + 20 * row), fill="black", width=2)
    assert wordless(image, []) < WORDLESS / 2


@pytest.mark.parametrize("size", [(1, 1), (3, 900), (40, 40)])
def test_the_smallest_pictures_and_boxes_the_wrong_way_round_are_taken(size: tuple[int, int]) -> None:
    assert wordless(Image.new("RGB", size, "white"), [Box(0.9, 0.9, 0.1, 0.1)]) == 0.0
