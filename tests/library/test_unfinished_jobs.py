"""Jobs that were left half-way, and collections that were emptied."""

from pathlib import Path

from library.library import Library
from tests.service.samples import WITHOUT_MODELS, pdf


def _files(folder: Path, *numbers: int) -> list[Path]:
    paths = [folder / f"{number}.pdf" for number in numbers]
    for number, path in zip(numbers, paths, strict=True):
        path.write_bytes(pdf(("red", f"rose {number}"), ("blue", f"sea {number}")))
    return paths


def test_a_job_that_was_left_half_way_waits_again(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library", WITHOUT_MODELS) as library:
        job = library.accept(_files(tmp_path, 0, 1))
        steps = library.process(job.id)
        next(steps)
        assert library.job(job.id).status == "running"
        steps.close()  # type: ignore[attr-defined]  # a generator, as the service closes it
        assert library.job(job.id).status == "queued"


def test_a_job_cancelled_as_its_worker_begins_stays_cancelled(tmp_path: Path) -> None:
    with Library.open(tmp_path / "library", WITHOUT_MODELS) as library:
        job = library.accept(_files(tmp_path, 0))
        jobs = library._stores.jobs
        library.cancel(job.id)  # after the worker has read that it waits, before it says that it runs
        with jobs.running(job.id):
            assert jobs.status(job.id) == "cancelled"
        assert jobs.status(job.id) == "cancelled"
        assert library.unfinished() == ()


def test_what_a_killed_run_left_is_over_when_the_same_files_are_indexed_again(tmp_path: Path) -> None:
    paths = _files(tmp_path, 0, 1)
    with Library.open(tmp_path / "library", WITHOUT_MODELS) as library:
        killed = library.accept(paths)
        library._stores.jobs.set_status(killed.id, "running")  # as SIGKILL leaves it
        other = library.accept(_files(tmp_path, 2))
        library._stores.jobs.set_status(other.id, "running")
        library.index(paths)
        assert library.job(killed.id).status == "done"
        assert library.job(other.id).status == "queued"
        assert library.unfinished() == (other.id,)
        assert [job.id for job in library.jobs(unfinished=True)] == [other.id]
        assert len(library.jobs(most=2)) == 2
        assert library.jobs(collections=frozenset({"elsewhere"})) == ()


def test_a_collection_is_gone_with_its_last_document_and_comes_back_with_the_next(tmp_path: Path) -> None:
    paths = _files(tmp_path, 0)
    with Library.open(tmp_path / "library", WITHOUT_MODELS) as library:
        job = library.accept(paths, collection="attic")
        assert [info.name for info in library.collections()] == ["attic"]
        library.remove(job.documents[0])
        assert library.collections() == ()
        library.index(paths, collection="attic")
        assert [info.name for info in library.collections()] == ["attic"]
