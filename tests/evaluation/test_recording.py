"""Recording a real library with the encoder that sees colours, and replaying it; the commands over it."""

import json

import pymupdf
import pytest
import typer
from typer.testing import CliRunner

from domain.errors import UsageError
from domain.fingerprint import Fingerprint
from domain.page import Query
from domain.run import Run
from evaluation.recording import Asked, Recording, arms_alone, plain, read, record, replayed
from library.build import pipeline
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from recto.tune import calibrate, tune

COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "cyan": (0, 1, 1)}
SETTINGS = Settings().changed(
    {"encoder": "colour", "reranker": "none", "arms": ["visual", "lexical"], "dpi": 40, "workers": 1}
)
APP = typer.Typer()
APP.command()(tune)
APP.command()(calibrate)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("questions")
    (place / "pdfs").mkdir()
    with pymupdf.open() as document:
        for name, colour in COLOURS.items():
            page = document.new_page(width=200, height=300)
            page.draw_rect(page.rect, color=colour, fill=colour)
            page.insert_text((20, 40), f"words of {name[::-1]}")
        document.save(place / "pdfs" / "colours.pdf")
    rows = [{"_id": f"q-{name}", "text": name} for name in COLOURS]
    (place / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    lines = [f"q-{name}\tcolours#{at}\t1" for at, name in enumerate(COLOURS)]
    (place / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\n" + "\n".join(lines) + "\n")
    return place


class Reader:
    """Prefers the last page."""

    name = "reader"
    fingerprint = Fingerprint("reader")

    def scores(self, query, candidates):
        return [float(candidate.page[-4:]) for candidate in candidates]


@pytest.fixture(scope="module")
def recorded(folder, tmp_path_factory) -> tuple[Library, Recording]:
    place = tmp_path_factory.mktemp("library") / "library"
    with Library.open(place, plain(SETTINGS, 50)) as library:
        library.index([folder / "pdfs"])
        queries = tuple(Query(f"q-{name}", name) for name in COLOURS)
        asked = Asked(queries, {q.id: {"x/0001": 1} for q in queries}, ("d",) * 5, 5)
        library._models._reranker = Reader()
        yield library, read(library, record(library, asked, depth=50), depth=50)


def test_what_is_replayed_is_what_is_served(recorded) -> None:
    library, recording = recorded
    settings = plain(SETTINGS, 50)
    for options in (
        SearchOptions(k=5, rerank="off"),
        SearchOptions(k=5, rerank=3),
        SearchOptions(arms=("visual",)),
    ):
        served = library.pipeline(options)(Run.ask(*recording.asked.queries))
        parts = replayed(
            Recording(
                recording.asked, recording.arms, recording.arm_ms, {"none": recording.readings["none"]}
            ),
            settings,
        )
        again = pipeline(parts, options)(Run.ask(*recording.asked.queries))
        assert again == served


def test_arms_are_recorded_as_they_answer_and_what_lifts_pages_does_so_once(tmp_path) -> None:
    for year in (2015, 2018):
        with pymupdf.open() as document:
            for number in range(6):
                document.new_page(width=200, height=300).insert_text(
                    (20, 40), "sales " * (number + year - 2014)
                )
            document.save(tmp_path / f"acme_{year}.pdf")
    settings = SETTINGS.changed({"arms": ["lexical"]})
    question = Query("q", "sales in 2015, on page 2")
    with Library.open(tmp_path / "library", settings) as library:
        library.index([tmp_path])
        served = library.pipeline(SearchOptions(k=50, rerank="off"))(Run.ask(question))
        extents = {document.id: document.extent for document in library.documents()}
        meant = {"q": library.meant(question)}
    with Library.open(tmp_path / "library", arms_alone(settings, 50)) as library:
        asked = Asked((question,), {"q": {"x/0001": 1}}, ("d",), 12, extents, meant)
        recording = record(library, asked, depth=50)
    again = pipeline(replayed(recording, settings), SearchOptions(k=50, rerank="off"))(Run.ask(question))
    assert [(hit.page, pytest.approx(hit.score)) for hit in again.answers[0].hits] == [
        (hit.page, hit.score) for hit in served.answers[0].hits
    ]


def test_every_arm_and_every_logit_is_recorded_with_its_time(recorded) -> None:
    recording = recorded[1]
    assert set(recording.arms) == {"visual", "lexical"}
    assert all(len(times) == 5 and min(times) > 0 for times in recording.arm_ms.values())
    (readings,) = recording.readings.values()
    assert readings.fingerprint == Reader.fingerprint
    assert all(
        score == float(page[-4:]) for found in readings.logits.values() for page, score in found.items()
    )


def test_a_library_without_a_reranker_has_nothing_to_read(folder, tmp_path) -> None:
    with Library.open(tmp_path, SETTINGS) as library, pytest.raises(UsageError, match="--reranker"):
        read(library, Recording(Asked((), {}, (), 0), {}, {}), depth=5)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    SETTINGS.save(tmp_path / "library")
    return tmp_path


def test_tune_recommends_the_arm_that_finds_and_writes_it_when_asked(folder, place) -> None:
    command = ["tune", str(folder), "--library", str(place / "library"), "--reranker", "none"]
    done = CliRunner().invoke(APP, [*command, "--report", str(place / "report")], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert "**visual**: no reranker was recorded" in done.stdout
    assert Settings.load(place / "library", {}).arms == ("visual", "lexical")
    assert {p.name for p in (place / "report").iterdir()} == {
        "tune.json",
        "tune.md",
        "pareto.svg",
        "recall.svg",
    }
    done = CliRunner().invoke(APP, [*command, "--apply", "--json"], catch_exceptions=False)
    assert json.loads(done.stdout)["recommended"]["arms"] == ["visual"]
    assert Settings.load(place / "library", {}).arms == ("visual",)


def test_calibrating_without_a_reranker_is_wrong_usage(folder, place) -> None:
    done = CliRunner().invoke(APP, ["calibrate", str(folder), "--library", str(place / "library")])
    assert done.exit_code == 2
    assert "name no reranker" in done.stderr


def test_tuning_needs_folders_or_a_collection_with_questions(place) -> None:
    for more in ([], ["--collection", "default"]):
        done = CliRunner().invoke(APP, ["tune", *more, "--library", str(place / "library")])
        assert done.exit_code == 2
        assert "either folders" in " ".join(done.stderr.split())
