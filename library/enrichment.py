"""Words that text layers lack, of scans and of pictures on pages: OCR after a page is already searchable."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import sqlalchemy as sa
from PIL import Image

from domain.errors import DocumentError
from domain.page import Word
from ingest.layer import Layer, pack_words, plain
from ingest.ocr import SCAN_DPI, missing, recognise
from ingest.picture import without_words, wordless
from library.arms import Arm
from library.batches import batched
from library.contents import FEW_CHARACTERS, WORDS_TYPE, content, lacks_words, page_words, picture
from library.numbering import read_numbers
from library.settings import Settings
from library.stores import Stores
from library.tables import DocumentRow, PageRow

log = logging.getLogger(__name__)

SURE = 60.0
"""Percent; what tesseract reads off photographs and drawings is below this as a rule, and words are above."""


def enrich(stores: Stores, documents: Sequence[str], arms: Sequence[Arm]) -> Iterator[tuple[str, int, int]]:
    """Read what the text layers of these documents' pages lack, a batch a step; each page is read once.

    Yields:
        The document's name, the number of the last page read, and how many are left.

    Raises:
        UsageError: tesseract or a language of it is not installed; ask `ingest.ocr.missing` before.
    """
    ready = [doc for doc in documents if stores.catalog.state(doc) == "ready"]
    left = sum(1 for doc in ready for _ in unread(stores, doc))
    for document_id in ready:
        document = stores.catalog.document(document_id)
        number = 0
        for rows in batched(unread(stores, document_id), stores.batch_pages):
            _read(stores, document, rows, arms)
            number, left = rows[-1].number, left - len(rows)
            yield document.name, number, left
        if number:
            read_numbers(stores, document_id)


def unread(stores: Stores, document_id: str) -> Iterator[PageRow]:
    """A document's searchable pages that lack words, next to all or those in pictures, and that OCR has not read."""
    for row in stores.catalog.pages(document_id, states=("ready",)):
        if lacks_words(row.characters, row.wordless) and not page_words(stores, row).recognised:
            yield row


def measure(stores: Stores, document_id: str) -> None:
    """Look at a document's pages as rendering does now, where that was done before it measured what has no words."""
    found = [
        {"document_id": document_id, "number": row.number, "wordless": _wordless(stores, row)}
        for row in stores.catalog.pages(document_id, states=("ready",))
        if row.wordless is None
    ]
    if found:
        with stores.catalog.begin() as session:
            session.execute(sa.update(PageRow), found)


def can_enrich(stores: Stores, documents: Sequence[str]) -> bool:
    """Whether OCR is wanted, is installed, and has something to read in these documents."""
    return (
        reads_pictures(stores.settings)
        and missing() is None
        and any(next(unread(stores, doc), None) for doc in documents)
    )


def lacking(stores: Stores, documents: Sequence[str]) -> str | None:
    """What keeps pages of these documents from being read by OCR, and how many; None where nothing does."""
    lacks = missing() if reads_pictures(stores.settings) else None
    pages = sum(len(list(unread(stores, doc))) for doc in documents) if lacks else 0
    return f"{lacks} ({pages} pages)" if pages else None


def reads_pictures(settings: Settings) -> bool:
    """Whether OCR is wanted: never for sight alone."""
    return settings.ocr and set(settings.arms) != {"visual"}


def _read(stores: Stores, document: DocumentRow, rows: Sequence[PageRow], arms: Sequence[Arm]) -> None:
    """Words into the arms first, durable; then the rows: killed in between, the pages are read again."""
    found, contents = [], []
    with ThreadPoolExecutor(stores.settings.readers) as readers:  # each runs a program of its own
        read = list(readers.map(lambda row: _layer(stores, document, row), rows))
    for row, layer in zip(rows, read, strict=True):
        blob = stores.blobs.put(pack_words(layer.text, layer.words, recognised=True), WORDS_TYPE)
        found.append((row.number, blob, len(layer.text)))
        if layer.recognised:
            image = stores.blobs.get(row.image or "")
            contents.append(content(stores, document, number=row.number, text=layer.text, image=image))
    for arm in arms:
        if arm.name != "visual" and contents:
            arm.add(contents)
    stores.catalog.set_words(document.id, found)
    for arm in arms:
        stores.mark_synced(arm)


def _wordless(stores: Stores, row: PageRow) -> float:
    boxes = (word.box for word in page_words(stores, row).words)
    return wordless(picture(stores.blobs.get(row.image or "")), boxes)


def _layer(stores: Stores, document: DocumentRow, row: PageRow) -> Layer:
    """What the page has already where tesseract gives up, so that it is not asked again."""
    own = page_words(stores, row)
    try:
        return completed(own, picture(stores.blobs.get(row.image or "")), dpi=stores.settings.dpi)
    except DocumentError as error:
        log.warning("%s", error, extra={"document": document.id, "page": row.number})
        return own


def completed(own: Layer, image: Image.Image, *, dpi: int) -> Layer:
    """A page's words, and behind them those that tesseract reads elsewhere on it; `recognised` where there are such.

    Args:
        own: the text layer.
        image: the page, at `dpi`.
        dpi: dots an inch; a coarser picture than tesseract is used to is enlarged.

    Raises:
        UsageError: tesseract or a language of it is not installed.
        DocumentError: tesseract gave the page up or broke on it.
    """
    image, scale = image.convert("L"), SCAN_DPI / dpi
    if scale > 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)))
    image = without_words(image, (word.box for word in own.words))
    if len(own.text) < FEW_CHARACTERS:
        read = recognise(image)
    else:
        sure = (tuple(filter(_tells, line)) for line in recognise(image, min_confidence=SURE))
        read = tuple(filter(None, sure))
    text = "\n".join(filter(None, [own.text, plain([" ".join(word.text for word in line) for line in read])]))
    return Layer(text, own.words + tuple(chain(*read)), bool(read))


def _tells(word: Word) -> bool:
    """Two letters or digits: less is an arrow's head or a bullet."""
    return sum(map(str.isalnum, word.text)) > 1
