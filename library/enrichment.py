"""Words for pages that have none: OCR after a page is already searchable by sight."""

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from domain.errors import DocumentError
from domain.page import Word
from ingest.layer import pack_words
from ingest.ocr import SCAN_DPI, missing, recognise
from library.arms import FEW_CHARACTERS, Arm
from library.batches import batched
from library.contents import WORDS_TYPE, content, page_words, picture
from library.numbering import read_numbers
from library.stores import Stores
from library.tables import DocumentRow, PageRow

log = logging.getLogger(__name__)


def enrich(stores: Stores, documents: Sequence[str], arms: Sequence[Arm]) -> Iterator[tuple[str, int]]:
    """Read the pages without a text layer of these documents, a batch a step; each page is read once.

    Yields:
        The document's name and the number of the last page read.

    Raises:
        UsageError: tesseract or a language of it is not installed; ask `ingest.ocr.missing` before.
    """
    for document_id in documents:
        if stores.catalog.state(document_id) != "ready":
            continue
        document = stores.catalog.document(document_id)
        number = 0
        for rows in batched(unread(stores, document_id), stores.batch_pages):
            _read(stores, document, rows, arms)
            number = rows[-1].number
            yield document.name, number
        if number:
            read_numbers(stores, document_id)


def unread(stores: Stores, document_id: str) -> Iterator[PageRow]:
    """The searchable pages of a document that have next to no text and that OCR has not read."""
    for row in stores.catalog.pages(document_id, states=("ready",)):
        if row.characters < FEW_CHARACTERS and not page_words(stores, row).recognised:
            yield row


def can_enrich(stores: Stores, documents: Sequence[str]) -> bool:
    """Whether OCR is wanted, is installed, and has something to read in these documents."""
    return _wanted(stores) and missing() is None and any(next(unread(stores, doc), None) for doc in documents)


def lacking(stores: Stores, documents: Sequence[str]) -> str | None:
    """What keeps pages of these documents from being read by OCR, and how many; None where nothing does."""
    lacks = missing() if _wanted(stores) else None
    pages = sum(len(list(unread(stores, doc))) for doc in documents) if lacks else 0
    return f"{lacks} ({pages} pages)" if pages else None


def _wanted(stores: Stores) -> bool:
    return stores.settings.ocr and set(stores.settings.arms) != {"visual"}


def _read(stores: Stores, document: DocumentRow, rows: Sequence[PageRow], arms: Sequence[Arm]) -> None:
    """Words into the arms first, durable; then the rows: killed in between, the pages are read again."""
    found, contents = [], []
    with ThreadPoolExecutor(stores.settings.readers) as readers:  # each runs a program of its own
        read = list(readers.map(lambda row: _words(stores, document, row), rows))
    for row, words in zip(rows, read, strict=True):
        text = " ".join(word.text for word in words)
        blob = stores.blobs.put(pack_words(text, words, recognised=True), WORDS_TYPE)
        found.append((row.number, blob, len(text)))
        if text:
            image = stores.blobs.get(row.image or "")
            contents.append(content(stores, document, number=row.number, text=text, image=image))
    for arm in arms:
        if arm.name != "visual" and contents:
            arm.add(contents)
    stores.catalog.set_words(document.id, found)
    for arm in arms:
        stores.mark_synced(arm)


def _words(stores: Stores, document: DocumentRow, row: PageRow) -> tuple[Word, ...]:
    """What tesseract reads; what the page has already where it gives up, so that it is not asked again."""
    image = picture(stores.blobs.get(row.image or ""))
    scale = SCAN_DPI / stores.settings.dpi
    if scale > 1:
        image = image.resize((round(image.width * scale), round(image.height * scale)))
    try:
        return recognise(image) or page_words(stores, row).words
    except DocumentError as error:
        log.warning("%s", error, extra={"document": document.id, "page": row.number})
        return page_words(stores, row).words
