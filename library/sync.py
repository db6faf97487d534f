"""Keeping the arms true to the catalogue: deletions finished, strays dropped, missing pages added again."""

import logging
from collections.abc import Sequence

from domain.page import PageId, document_of, page_id
from library.arms import Arm
from library.batches import batched
from library.contents import stored_content
from library.stores import Arms, Stores

log = logging.getLogger(__name__)


def remove(stores: Stores, documents: Sequence[str]) -> None:
    """Delete documents: hidden at once, then out of the arms, all together, then their rows, then their blobs.

    Raises:
        NotFoundError: one of them does not exist; none is deleted.
        BusyError: another process writes to this library.
    """
    for document_id in documents:
        stores.catalog.document(document_id)
    with stores.writing() as arms:
        stores.catalog.hide(documents)
        sync(stores, arms)


def sync(stores: Stores, arms: Arms, *, every: bool = False) -> tuple[str, ...]:
    """Finish deletions, then bring arms that are behind the catalogue, or `every` one, up to it; says what it did."""
    _finish_deletions(stores, arms)
    behind = [arm for arm in arms.values() if every or not stores.is_synced(arm)]
    return tuple(remark for arm in behind for remark in _bring_up(stores, arm))


def catch_up(stores: Stores) -> tuple[str, ...]:
    """Bring arms that are behind the catalogue up to it, unless a writer is at work and will do so itself."""
    if all(stores.is_synced(arm) for arm in stores.arms().values()):
        return ()
    with stores.writing_if_free() as arms:
        return sync(stores, arms) if arms is not None else ()


def _finish_deletions(stores: Stores, arms: Arms) -> None:
    rows = stores.catalog.documents(state="deleting")
    if not rows:
        return
    pages = [page_id(row.id, number) for row in rows for number in range(1, row.pages + 1)]
    before = [arm for arm in arms.values() if stores.is_synced(arm)]
    for arm in arms.values():
        arm.remove(pages)
    blobs = [key for row in rows for key in stores.catalog.forget(row.id)]
    for arm in before:
        stores.mark_synced(arm)
    for key in blobs:
        stores.blobs.delete(key)


def _bring_up(stores: Stores, arm: Arm) -> list[str]:
    expected = stores.catalog.page_ids(with_text=arm.name == "text")
    held = arm.pages()
    strays, missing = sorted(held - expected), sorted(expected - held)
    arm.remove(strays)
    _add(stores, arm, missing)
    stores.mark_synced(arm)
    found = [f"{arm.name}: {len(strays)} stray pages dropped"] if strays else []
    found += [f"{arm.name}: {len(missing)} missing pages added"] if missing else []
    for remark in found:
        log.warning("%s", remark)
    return found


def _add(stores: Stores, arm: Arm, pages: list[PageId]) -> None:
    for batch in batched(pages, stores.batch_pages):
        arm.add(
            [
                stored_content(stores, stores.catalog.document(document_of(page)), stores.catalog.page(page))
                for page in batch
            ]
        )
