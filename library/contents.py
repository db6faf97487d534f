"""Pages on their way into the arms, fresh from the renderer or from the store."""

import io
from collections.abc import Sequence
from dataclasses import astuple
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from domain import words
from domain.page import PageId, Word, page_id
from ingest.layer import Layer, unpack
from ingest.ocr import missing
from library.arms import PageContent, VisualArm
from library.sources import stem
from library.stores import Stores
from library.tables import DocumentRow, PageRow
from rerank.reranker import LEGIBLE, PageFeatures

WORDS_TYPE = "application/zlib"
"""Media type of a stored text layer."""

FEW_CHARACTERS = 20
"""A text layer shorter than this is a page number or a stamp, not the page's text."""

WORDLESS = 0.0015
"""Where so much of a page is drawn in detail without words, words may be in it (0106)."""

COVERS = 2
"""Pages before the first that says something, at most."""


def content(stores: Stores, document: DocumentRow, *, number: int, text: str, image: bytes) -> PageContent:
    """What the arms need of a page: its picture is decoded when an arm looks at it."""
    name = page_id(document.id, number)
    return PageContent(
        id=name,
        title=stem(document.name),
        metadata=" ".join([document.title, *map(str, document.fields.values())]),
        text=text,
        image=partial(picture, image),
        seen=partial(seen, stores, name),
    )


def stored_content(stores: Stores, document: DocumentRow, row: PageRow) -> PageContent:
    """The same for a page whose picture and words are stored; StoreError where they are damaged."""
    image = stores.blobs.get(row.image or "")
    return content(stores, document, number=row.number, text=page_words(stores, row).text, image=image)


def lacks_words(characters: int, wordless: float | None) -> bool:
    """Whether a page has next to no text, or much that is drawn beside its text and may be words."""
    return characters < FEW_CHARACTERS or (wordless or 0.0) >= WORDLESS


def seen(stores: Stores, page: PageId) -> str:
    """The words that the built-in encoder made out where a page's text layer has none.

    Empty where the page lacks none, and where OCR will read it, and better.
    """
    if stores.settings.ocr and missing() is None:
        return ""
    row = stores.catalog.page(page)
    if not lacks_words(row.characters, row.wordless):
        return ""
    found = features(stores, page)
    namer = stores.models.namer if found else None
    if not namer or not found:
        return ""
    apart = ~_covered(found.boxes, page_words(stores, row).words)
    return namer.text(PageFeatures(found.rows[apart], found.boxes[apart]))


def _covered(places: NDArray[np.float32], by: Sequence[Word]) -> NDArray[np.bool_]:
    """Which boxes (n, 4) have their middle in the box of a word: (n,)."""
    boxes = np.array([astuple(word.box) for word in by], dtype=np.float32).reshape(-1, 4)
    middles = (places[:, None, :2] + places[:, None, 2:]) / 2
    inside: NDArray[np.bool_] = np.all((boxes[:, :2] <= middles) & (middles <= boxes[:, 2:]), axis=-1)
    return np.asarray(np.any(inside, axis=1), dtype=np.bool_)


def features(stores: Stores, page: PageId) -> PageFeatures | None:
    """What the visual arm keeps of a page; None where it has no such page or its encoder gives no places."""
    visual = stores.arms().get("visual")
    vectors = visual.vectors(page) if isinstance(visual, VisualArm) else None
    if vectors is None or vectors.boxes is None:
        return None
    return PageFeatures(vectors.rows, vectors.boxes)


def page_words(stores: Stores, row: PageRow) -> Layer:
    """A page's text layer; empty where it has none."""
    return unpack(stores.blobs.get(row.words)) if row.words else Layer()


def page_text(stores: Stores, row: PageRow) -> str:
    """The text of a page's layer without its places: what searches ask for again and again."""
    return stores.texts.get(row.words, lambda: page_words(stores, row).text) if row.words else ""


def opening(stores: Stores, row: PageRow) -> str:
    """How a page's document begins: the text of its first page with words, this one at the latest."""
    for number in range(1, min(row.number, COVERS + 1) + 1):
        text = page_text(stores, stores.catalog.page(page_id(row.document_id, number)))
        if len(words.split(text)) >= LEGIBLE:
            return text
    return ""


def picture(data: bytes) -> Image.Image:
    """Decode a stored page picture to RGB."""
    with Image.open(io.BytesIO(data)) as image:
        return image.convert("RGB")
