"""The main job, with the encoder that can be computed by hand: PDFs in, ranked pages out."""

import io
from pathlib import Path

import pytest
from PIL import Image

from domain.errors import NotFoundError, UsageError
from domain.page import Query, page_id
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from retrieve.first_stage_cache import FirstStageCache
from tests.pdfs import Sheet, write_pdf

VISUAL = SearchOptions(arms=("visual",))
LEXICAL = SearchOptions(arms=("lexical",))


def test_pages_are_found_by_sight(library: Library, rainbow: Path) -> None:
    report = library.index([rainbow])
    assert (report.documents, report.pages, report.failed, report.skipped) == (1, 5, (), ())
    assert [library.search(colour, VISUAL).hits[0].page for colour in ("red", "green", "blue", "yellow")] == [
        1,
        2,
        3,
        5,
    ]


def test_pages_are_found_by_their_words(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    hit = library.search("AX-77/12", LEXICAL).hits[0]
    assert (hit.document, hit.page, hit.collection) == ("rainbow", 3, "default")
    assert "AX-77/12" in hit.snippet


def test_every_hit_tells_what_each_arm_said_of_it(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    result = library.search("blue tide tables")
    assert result.arms == ("visual", "lexical")
    assert {mark.stage for mark in result.hits[0].stages} == {"visual", "lexical"}
    assert {"visual", "lexical", "total"} <= set(result.timings_ms)


def test_a_blank_page_is_counted_and_never_found(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    (document,) = library.documents()
    assert document.states == {"ready": 4, "blank": 1}
    assert library.pages(document.id)[3].state == "blank"
    assert 4 not in {hit.page for hit in library.search("white", VISUAL).hits}


def test_the_same_content_is_indexed_once(library: Library, rainbow: Path, tmp_path: Path) -> None:
    library.index([rainbow])
    copy = tmp_path / "copy.pdf"
    copy.write_bytes(rainbow.read_bytes())
    report = library.index([rainbow, copy])
    assert (report.documents, len(report.skipped)) == (0, 2)
    assert "same content as rainbow.pdf" in report.skipped[1].reason


def test_two_equal_files_in_one_call_are_indexed_once(
    library: Library, rainbow: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.pdf"
    copy.write_bytes(rainbow.read_bytes())
    report = library.index([rainbow, copy])
    assert (report.documents, len(report.skipped)) == (1, 1)


def test_a_changed_file_of_the_same_name_replaces_the_old_one(library: Library, tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "a" / "plan.pdf", [Sheet("red", "first version")])
    library.index([path])
    old = library.documents()[0].id
    write_pdf(path, [Sheet("blue", "second version"), Sheet("green", "more")])
    library.index([path])
    (document,) = library.documents()
    assert (document.name, document.pages) == ("plan.pdf", 2)
    assert not library.search("first", LEXICAL).hits
    with pytest.raises(NotFoundError):
        library.document(old)


def test_a_removed_document_leaves_nothing_behind(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    document = library.documents()[0].id
    library.remove(document)
    assert not library.documents()
    assert not library.search("red", VISUAL).hits
    assert not library.search("forest", LEXICAL).hits
    assert not [path for path in (library.directory / "blobs").rglob("*") if path.is_file()]


def test_blobs_that_another_document_uses_stay(library: Library, rainbow: Path) -> None:
    library.index([rainbow], collection="one")
    library.index([rainbow], collection="two")
    library.remove(library.documents("one")[0].id)
    hit = library.search("red", SearchOptions(collection="two", arms=("visual",))).hits[0]
    assert Image.open(io.BytesIO(library.image(hit.page_id).data)).size[0] > 0


def test_a_search_stays_in_its_collection_and_document(library: Library, tmp_path: Path) -> None:
    library.index([write_pdf(tmp_path / "x.pdf", [Sheet("red", "alpha")])], collection="one")
    library.index([write_pdf(tmp_path / "y.pdf", [Sheet("red", "alpha beta")])], collection="two")
    found = [
        {hit.document for hit in library.search("alpha", options).hits}
        for options in (
            SearchOptions(),
            SearchOptions(collection="one"),
            SearchOptions(document="y"),
            SearchOptions(collections=frozenset({"two"})),
            SearchOptions(collections=frozenset()),
        )
    ]
    assert found == [{"x", "y"}, {"x"}, {"y"}, {"y"}, set()]


def test_metadata_filters_are_exact(library: Library, tmp_path: Path) -> None:
    for year in ("2023", "2024"):
        path = write_pdf(tmp_path / f"r{year}.pdf", [Sheet("red", f"report of {year}")])
        job = library.accept([path], metadata={"year": year})
        for _ in library.process(job.id):
            pass
    hits = library.search("report", SearchOptions(filters={"year": "2024"})).hits
    assert {hit.document for hit in hits} == {"r2024"}


def test_documents_removed_together_leave_nothing_but_the_others(library: Library, tmp_path: Path) -> None:
    names = ("one", "two", "three")
    paths = [write_pdf(tmp_path / f"{n}.pdf", [Sheet("red", "shared"), Sheet("blue", n)]) for n in names]
    library.index(paths)
    documents = {info.name: info.id for info in library.documents()}
    with pytest.raises(NotFoundError, match="nothing"):
        library.remove(documents["one.pdf"], "nothing")
    assert len(library.documents()) == 3
    library.remove(documents["one.pdf"], documents["two.pdf"])
    assert [info.name for info in library.documents()] == ["three.pdf"]
    assert {hit.document for hit in library.search("shared red").hits} == {"three"}
    report = library.verify()
    assert (report.damaged, report.checked["pages"], report.checked["visual pages"]) == ((), 2, 2)


def test_collections_are_summed_up_and_listed_in_pieces(library: Library, tmp_path: Path) -> None:
    colours = ("red", "blue", "green")
    paths = [
        write_pdf(tmp_path / f"{at}.pdf", [Sheet(colour, colour), *[Sheet("white")] * at])
        for at, colour in enumerate(colours)
    ]
    library.index(paths, collection="all")
    library.index(paths[:1], collection="one")
    found = {info.name: (info.documents, info.pages, info.ready_pages) for info in library.collections()}
    states = [info.states for info in library.documents("all")]
    assert found == {"all": (3, 6, sum(one.get("ready", 0) for one in states)), "one": (1, 1, 1)}
    assert found["all"][2] < 6  # empty pages are not searched
    whole = library.documents("all")
    assert library.documents("all", start=1, most=1) == whole[1:2]
    assert library.documents("all", start=2, most=9) == whole[2:]
    twin = library.twin("all", whole[1].sha256)
    assert twin == whole[1]
    assert library.twin("one", whole[1].sha256) is None


def test_steps_count_every_page_once_whatever_became_of_it(library: Library, tmp_path: Path) -> None:
    paths = [
        write_pdf(tmp_path / f"{name}.pdf", [Sheet(name), Sheet("white"), Sheet("blue")])
        for name in ("red", "green")
    ]
    job = library.accept(paths)
    steps = [step.pages_done for step in library.process(job.id)]
    assert steps == sorted(steps)
    done = library.job(job.id)
    assert (steps[-1], done.pages_done, done.pages_total, done.status) == (6, 6, 6, "done")
    assert library.unfinished() == ()


def test_a_search_keeps_to_its_collection_whether_or_not_there_are_others(
    library: Library, tmp_path: Path
) -> None:
    path = write_pdf(tmp_path / "a.pdf", [Sheet("red", "rose")])
    library.index([path], collection="one")
    inside, allowed = SearchOptions(collection="one"), SearchOptions(collections=frozenset({"one"}))
    (document,) = library.documents("one")
    assert library.scope(inside) is None
    assert library.scope(allowed) == {document.id}
    library.index([path], collection="two")
    assert library.scope(inside) == library.scope(allowed) == {document.id}
    assert {hit.collection for hit in library.search("rose", inside).hits} == {"one"}


def test_a_folder_names_its_documents_by_their_path(library: Library, tmp_path: Path) -> None:
    write_pdf(tmp_path / "in" / "a" / "same.pdf", [Sheet("red")])
    write_pdf(tmp_path / "in" / "b" / "same.pdf", [Sheet("blue")])
    library.index([tmp_path / "in"])
    assert [document.name for document in library.documents()] == ["a/same.pdf", "b/same.pdf"]


def test_two_files_of_one_name_in_one_call_both_stay(library: Library, tmp_path: Path) -> None:
    first = write_pdf(tmp_path / "a" / "same.pdf", [Sheet("red")])
    second = write_pdf(tmp_path / "b" / "same.pdf", [Sheet("blue")])
    library.index([first, second])
    assert len(library.documents()) == 2


def test_an_image_is_a_document_of_one_page(library: Library, tmp_path: Path) -> None:
    path = tmp_path / "photo.png"
    picture = Image.new("RGB", (300, 200), (0, 255, 0))
    picture.paste((0, 190, 0), (0, 0, 150, 100))
    picture.save(path)
    library.index([path])
    hit = library.search("green", VISUAL).hits[0]
    assert (hit.document, hit.page) == ("photo", 1)


def test_one_bad_file_never_stops_the_others(library: Library, rainbow: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pdf"
    bad.write_bytes(b"not a pdf at all")
    report = library.index([tmp_path / "missing.pdf", bad, tmp_path / "nothing_here", rainbow])
    assert report.documents == 1
    assert [item.failure.code for item in report.failed] == ["unreadable", "unsupported", "unreadable"]
    assert all(str(tmp_path) in item.path for item in report.failed)


def test_a_library_reopened_answers_the_same(rainbow: Path, tmp_path: Path, settings: Settings) -> None:
    with Library.open(tmp_path / "library", settings) as library:
        library.index([rainbow])
        before = library.search("blue").hits
    with Library.open(tmp_path / "library") as library:
        assert library.settings == settings
        assert library.search("blue").hits == before


def test_a_job_that_was_stopped_goes_on_where_it_was(library: Library, rainbow: Path) -> None:
    job = library.accept([rainbow])
    steps = library.process(job.id)
    first = next(steps)
    steps.close()
    assert (first.pages_done, first.pages_total) == (2, 5)
    assert library.search("red", VISUAL).hits[0].page == 1
    rest = list(library.process(job.id))
    assert [step.pages_done for step in rest] == [4, 5]
    assert library.job(job.id).status == "done"


def test_the_last_step_says_that_the_index_is_put_in_order(
    library: Library, rainbow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FirstStageCache, "maintain", lambda _: None)
    job = library.accept([rainbow])
    assert [step.document for step in library.process(job.id)] == ["rainbow.pdf"] * 3
    monkeypatch.setattr(FirstStageCache, "behind", property(lambda _: True))
    more = library.accept(
        [write_pdf(rainbow.with_name("more.pdf"), [Sheet("red", "a report of the tile works")])]
    )
    assert [step.document for step in library.process(more.id)] == ["more.pdf", ""]
    assert library.job(more.id).status == "done"


def test_a_cancelled_job_stops_after_its_batch(library: Library, rainbow: Path) -> None:
    job = library.accept([rainbow])
    steps = library.process(job.id)
    next(steps)
    library.cancel(job.id)
    assert list(steps) == []
    assert library.job(job.id).status == "cancelled"


def test_many_queries_go_through_the_same_pipeline_as_one(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    run = library.run([Query("1", "red"), Query("2", "blue")], VISUAL)
    alone = [library.search(text, VISUAL).hits[0].page_id for text in ("red", "blue")]
    assert [answer.hits[0].page for answer in run.answers] == alone


def test_evidence_tells_where_on_the_page(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    hit = library.search("red", VISUAL).hits[0]
    cell = library.evidence(hit.page_id, "red").cells[0]
    assert (cell.token, cell.box.x0, cell.box.y1) == ("red", 0.0, 1.0)


def test_pictures_come_in_any_width(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    page = page_id(library.documents()[0].id, 1)
    assert Image.open(io.BytesIO(library.image(page, width=64).data)).width == 64
    with pytest.raises(UsageError, match="from 1 to 4000"):
        library.image(page, width=0)


def test_the_original_comes_back_byte_for_byte(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    assert b"".join(library.original(library.documents()[0].id)) == rainbow.read_bytes()


@pytest.mark.parametrize("question", ["", "   ", "x" * 10_001])
def test_a_question_that_is_none_is_refused(library: Library, question: str) -> None:
    with pytest.raises(UsageError, match="question"):
        library.search(question)


def test_an_empty_library_says_that_it_is_empty(library: Library) -> None:
    result = library.search("anything")
    assert result.hits == ()
    assert "recto index" in result.notes[0]


def test_unknown_places_are_refused_by_name(library: Library, rainbow: Path) -> None:
    library.index([rainbow])
    with pytest.raises(NotFoundError, match="nowhere"):
        library.search("red", SearchOptions(collection="nowhere"))
    with pytest.raises(NotFoundError, match="nothing"):
        library.search("red", SearchOptions(document="nothing"))
    with pytest.raises(UsageError, match="no arm text"):
        library.search("red", SearchOptions(arms=("text",)))


def test_a_library_needs_a_directory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        Library.open(tmp_path / "file")


def test_other_vectors_are_refused(rainbow: Path, tmp_path: Path, settings: Settings) -> None:
    with Library.open(tmp_path / "library", settings) as library:
        library.index([rainbow])
        with pytest.raises(UsageError, match="nothing to index"):
            library.index([])
