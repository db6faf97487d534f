"""Looking into a library: collections, documents, pages, pictures and words."""

import io
from collections.abc import Mapping, Sequence

from PIL import Image

from domain.errors import NotFoundError, UsageError
from domain.page import PageId, page_id
from ingest.layer import Layer
from library.contents import page_words, picture
from library.jobs import failure
from library.numbering import extent, unpacked_outline
from library.results import CollectionInfo, DocumentInfo, DocumentStatus, PageInfo, Picture
from library.sources import stem
from library.stores import Stores
from library.tables import DocumentRow, PageRow

MAX_WIDTH_PX = 4000
JPEG_QUALITY = 82


def collections(stores: Stores) -> tuple[CollectionInfo, ...]:
    """Every collection and how much is in it."""
    return stores.catalog.holdings()


def documents(
    stores: Stores, collection: str | None, *, start: int = 0, most: int | None = None
) -> tuple[DocumentInfo, ...]:
    """Every document, or those of one collection, by name: at most so many from `start` on.

    Raises:
        NotFoundError: there is no such collection.
    """
    if collection is not None and collection not in stores.catalog.collections():
        raise NotFoundError(f"there is no collection {collection!r} in this library")
    return _infos(stores, stores.catalog.documents(collection=collection, start=start, most=most))


def document(stores: Stores, document_id: str) -> DocumentInfo:
    """One document; NotFoundError where there is none."""
    return _infos(stores, [stores.catalog.document(document_id)])[0]


def twin(stores: Stores, collection: str, sha256: str) -> DocumentInfo | None:
    """The document of this content in this collection, if any."""
    row = stores.catalog.known(collection, sha256)
    return _infos(stores, [row])[0] if row else None


def pages(stores: Stores, document_id: str) -> tuple[PageInfo, ...]:
    """A document's pages, in order."""
    row = stores.catalog.document(document_id)
    return tuple(_page(row, page) for page in stores.catalog.pages(document_id))


def page(stores: Stores, name: PageId) -> PageInfo:
    """One page; NotFoundError where there is none."""
    row = stores.catalog.page(name)
    return _page(stores.catalog.document(row.document_id), row)


def words(stores: Stores, name: PageId) -> Layer:
    """A page's text layer; NotFoundError where there is no such page."""
    return page_words(stores, stores.catalog.page(name))


def image(stores: Stores, name: PageId, width: int | None) -> Picture:
    """A page's picture, as stored or scaled down to `width` pixels; it is never enlarged.

    Raises:
        NotFoundError: there is no such page, or it was not rendered.
        UsageError: the width is not from 1 to 4000.
    """
    row = stores.catalog.page(name)
    if row.image is None or row.media_type is None:
        raise NotFoundError(f"page {name} has no picture; {row.failure_message or 'it waits to be rendered'}")
    digest = row.image.rpartition("/")[2].partition(".")[0]
    data = stores.blobs.get(row.image)
    if width is None:
        return Picture(data, row.media_type, digest)
    if not 1 <= width <= MAX_WIDTH_PX:
        raise UsageError(f"a picture's width is from 1 to {MAX_WIDTH_PX} pixels, not {width}")
    if width >= row.width_px:
        return Picture(data, row.media_type, digest)
    small = picture(data)
    height = max(1, round(row.height_px * width / row.width_px))
    scaled = small.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    scaled.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return Picture(buffer.getvalue(), "image/jpeg", f"{digest}-{width}")


def _infos(stores: Stores, rows: Sequence[DocumentRow]) -> tuple[DocumentInfo, ...]:
    return tuple(map(_info, rows, stores.catalog.states(rows)))


def _info(row: DocumentRow, states: Mapping[str, int]) -> DocumentInfo:
    return DocumentInfo(
        id=row.id,
        name=row.name,
        collection=row.collection,
        sha256=row.sha256,
        size_bytes=row.size_bytes,
        pages=row.pages,
        status=_status(row, states),
        states=dict(states),
        metadata={key: str(value) for key, value in row.fields.items()},
        failure=failure(row.failure_code, row.failure_message),
        before_one=row.before_one,
        outline=unpacked_outline(row.outline),
    )


def _status(row: DocumentRow, states: Mapping[str, int]) -> DocumentStatus:
    if row.state == "ready":
        return "partial" if states.get("failed") else "ready"
    if row.state == "failed":
        return "failed"
    return "processing" if set(states) - {"queued"} else "queued"


def _page(document_row: DocumentRow, row: PageRow) -> PageInfo:
    return PageInfo(
        id=page_id(row.document_id, row.number),
        document_id=row.document_id,
        document=stem(document_row.name),
        collection=document_row.collection,
        number=row.number,
        printed=extent(document_row).printed(row.number),
        width_px=row.width_px,
        height_px=row.height_px,
        state=row.state,
        failure=failure(row.failure_code, row.failure_message),
        has_text=row.characters > 0,
    )
