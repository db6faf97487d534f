"""Jobs and evidence as people are told of them: by the names of files, by places and words."""

from collections.abc import Iterable
from dataclasses import dataclass

from domain.errors import NotFoundError
from domain.page import Box
from library.results import DocumentInfo, EvidenceCell, Job, PageInfo
from service.access import View
from service.web.shelves import cover

_LISTED = 200
_FAINT = 0.5


@dataclass(frozen=True, slots=True)
class Told:
    """A job and the name under which a person knows it."""

    job: Job
    title: str


def told(view: View, jobs: Iterable[Job]) -> tuple[Told, ...]:
    """Jobs with their titles: the first file's name and how many more there are."""
    return tuple(Told(job, _title(view, job)) for job in jobs)


def files(view: View, job: Job) -> tuple[tuple[DocumentInfo, PageInfo | None], ...]:
    """The documents of a job that are still there, with their covers; at most 200."""
    found = [info for name in job.documents[:_LISTED] if (info := _document(view, name))]
    return tuple((info, cover(view, info)) for info in found)


def places(cells: Iterable[EvidenceCell]) -> tuple[EvidenceCell, ...]:
    """The places worth lighting up, strongest first: what is far weaker than the best is noise.

    The whole page, as single-vector models give it, is no place.
    """
    found = sorted((cell for cell in cells if _is_place(cell.box)), key=lambda cell: -cell.similarity)
    return tuple(
        cell for cell in found if cell.similarity > 0 and cell.similarity >= _FAINT * found[0].similarity
    )


def reasons(cells: Iterable[EvidenceCell]) -> tuple[EvidenceCell, ...]:
    """For every word of the question the place that it matched best, strongest first."""
    best: dict[str, EvidenceCell] = {}
    for cell in sorted(cells, key=lambda cell: -cell.similarity):
        best.setdefault(cell.token, cell)
    return tuple(best.values())


def _title(view: View, job: Job) -> str:
    if not job.documents:
        return job.failed[0].path if job.failed else job.skipped[0].path if job.skipped else job.id
    info = next((info for name in job.documents[:10] if (info := _document(view, name))), None)
    first = info.name if info else f"Job {job.id}"
    more = len(job.documents) - 1
    return f"{first} and {more:,} more" if more else first


def _document(view: View, document_id: str) -> DocumentInfo | None:
    try:
        return view.document(document_id)
    except NotFoundError:  # removed since
        return None


def _is_place(box: Box) -> bool:
    return (box.x1 - box.x0) * (box.y1 - box.y0) < 0.6
