"""Checking a library: every blob and index against the catalogue, and mending what can be made again."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.errors import StoreError
from domain.page import page_id
from library.enrichment import measure
from library.jobs import Input
from library.numbering import read_numbers
from library.results import VerifyReport
from library.stores import Arms, Stores
from library.sync import sync
from library.tables import DocumentRow, PageRow


@dataclass(frozen=True, slots=True)
class Loss:
    """A blob that is missing or damaged; `page` is None for an original."""

    document: DocumentRow
    page: PageRow | None
    reason: str


def verify(stores: Stores) -> VerifyReport:
    """Compare the checksums of all that is stored with the catalogue; nothing is changed."""
    arms = stores.arms()
    losses = tuple(_losses(stores))
    damaged = (*(loss.reason for loss in losses), *_arm_damage(arms), *_differences(stores, arms))
    return VerifyReport(_counts(stores, arms), damaged, ())


@dataclass(frozen=True, slots=True)
class Repair:
    """What was mended, and the job that renders lost pages again (None: nothing to render)."""

    report: VerifyReport
    job_id: str | None


def repair(stores: Stores) -> Repair:
    """Rebuild damaged indexes, and queue pages whose pictures or words are lost to be rendered again.

    Raises:
        BusyError: another process writes to this library.
    """
    with stores.writing() as arms:
        losses = tuple(_losses(stores))
        found = (*(loss.reason for loss in losses), *_arm_damage(arms), *_differences(stores, arms))
        queued = _requeued(stores, losses)
        repaired = [f"{row.name}: {len(pages)} pages are rendered again" for row, pages in queued]
        for arm in arms.values():
            if arm.damage():
                arm.rebuild()
                repaired.append(f"{arm.name}: rebuilt from what is whole")
        repaired += sync(stores, arms, every=True)
        for document in stores.catalog.documents(state="ready"):
            read_numbers(stores, document.id)
            measure(stores, document.id)
        lost = tuple(loss.document.name for loss in losses if loss.page is None)
        inputs = [Input(row.name, document_id=row.id) for row, _ in queued]
        job_id = stores.jobs.create(queued[0][0].collection, inputs) if inputs else None
        return Repair(VerifyReport(_counts(stores, arms), found, tuple(repaired), lost), job_id)


def _losses(stores: Stores) -> Iterator[Loss]:
    for document in stores.catalog.documents():
        if reason := _broken(stores, document.blob):
            yield Loss(document, None, f"{document.name}: the original is lost ({reason})")
        for page in stores.catalog.pages(document.id):
            for key in (page.image, page.words):
                if key and (reason := _broken(stores, key)):
                    yield Loss(document, page, f"{document.name}, page {page.number}: {reason}")


def _broken(stores: Stores, key: str) -> str | None:
    try:
        for _ in stores.blobs.stream(key):
            pass
    except StoreError as error:
        return str(error).partition(";")[0]
    return None


def _requeued(stores: Stores, losses: tuple[Loss, ...]) -> list[tuple[DocumentRow, set[int]]]:
    """Send pages whose blobs are lost back to the queue, where the original is whole."""
    gone = {loss.document.id for loss in losses if loss.page is None}
    waiting: dict[str, tuple[DocumentRow, set[int]]] = {}
    for loss in losses:
        if loss.page is None or loss.document.id in gone:
            continue
        for key in (loss.page.image, loss.page.words):
            if key and _broken(stores, key):
                stores.blobs.delete(key)
        waiting.setdefault(loss.document.id, (loss.document, set()))[1].add(loss.page.number)
    for document, numbers in waiting.values():
        stores.catalog.set_pages([page_id(document.id, number) for number in sorted(numbers)], "queued")
        stores.catalog.set_document(document.id, "queued")
    return list(waiting.values())


def _arm_damage(arms: Arms) -> tuple[str, ...]:
    return tuple(f"{arm.name}: {reason}" for arm in arms.values() for reason in arm.damage())


def _differences(stores: Stores, arms: Arms) -> tuple[str, ...]:
    found = []
    for arm in arms.values():
        expected, held = stores.catalog.page_ids(with_text=arm.name == "text"), arm.pages()
        if strays := len(held - expected):
            found.append(f"{arm.name}: {strays} pages that the catalogue does not know")
        if missing := len(expected - held):
            found.append(f"{arm.name}: {missing} pages are missing")
    return tuple(found)


def _counts(stores: Stores, arms: Arms) -> dict[str, int]:
    sizes = stores.catalog.sizes()
    return {
        "documents": sizes["documents"],
        "pages": sizes["pages"],
        **{f"{arm.name} pages": len(arm) for arm in arms.values()},
    }
