"""The command line as a person or a script meets it, with the encoder that can be computed by hand."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from recto.main import app
from tests.pdfs import Sheet, write_pdf


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "RECTO_LIBRARY": str(tmp_path / "library"),
        "RECTO_ENCODER": "colour",
        "RECTO_RERANKER": "none",
        "RECTO_ARMS": "visual,lexical",
        "RECTO_WORKERS": "1",
        "COLUMNS": "120",
    }.items():
        monkeypatch.setenv(name, value)


def recto(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def colours(tmp_path: Path) -> Path:
    sheets = [Sheet("red", "brick works"), Sheet("green", "forest walk"), Sheet("blue", "tide tables")]
    return write_pdf(tmp_path / "colours.pdf", sheets)


def test_index_and_search_speak_json(colours: Path) -> None:
    indexed = recto("index", colours, "--json")
    assert indexed.exit_code == 0
    report = json.loads(indexed.stdout)
    assert (report["documents"], report["pages"], report["failed"], report["skipped"]) == (1, 3, [], [])
    found = json.loads(recto("search", "blue", "--json", "-k", "2").stdout)
    assert found["query"] == "blue"
    assert found["hits"][0]["page"] == 3
    assert set(found["hits"][0]) >= {"page_id", "document", "page", "score", "probability", "stages"}
    assert found["timings_ms"]["total"] > 0


def test_search_shows_a_table_with_a_snippet(colours: Path) -> None:
    recto("index", colours)
    shown = recto("search", "forest")
    assert shown.exit_code == 0
    assert "colours" in shown.stdout
    assert "forest walk" in shown.stdout
    assert "visual, lexical answered, not reranked" in shown.stderr


def test_names_and_words_are_shown_as_they_are_spelled(tmp_path: Path) -> None:
    path = write_pdf(tmp_path / "plan [b] :smile:.pdf", [Sheet("red", "works [annex] close [/annex] here")])
    assert recto("index", path).exit_code == 0
    assert "plan [b] :smile:.pdf" in recto("list").stdout
    shown = recto("search", "works here", "--arms", "lexical")
    assert "plan [b] :smile:" in shown.stdout
    assert "works [annex] close [/annex] here" in shown.stdout
    assert "plan [b] :smile:.pdf was removed" in recto("remove", path.name).stdout


def test_a_batch_with_a_bad_file_is_done_in_part(colours: Path, tmp_path: Path) -> None:
    bad = tmp_path / "letter.pdf"
    bad.write_bytes(b"<html>not a pdf</html>")
    result = recto("index", colours, bad, "--json")
    assert result.exit_code == 3
    (failed,) = json.loads(result.stdout)["failed"]
    assert (failed["path"], failed["code"]) == (str(bad), "unsupported")


def test_a_batch_of_bad_files_alone_fails(tmp_path: Path) -> None:
    result = recto("index", tmp_path / "missing.pdf")
    assert result.exit_code == 1
    assert "missing.pdf" in result.stderr
    assert "check that it exists" in result.stderr.replace("\n", " ")


def test_the_same_command_twice_is_the_same_as_once(colours: Path) -> None:
    recto("index", colours)
    again = recto("index", colours, "--json")
    assert again.exit_code == 0
    assert json.loads(again.stdout)["skipped"][0]["reason"] == "same content as colours.pdf"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("search", ""), "question is empty"),
        (("search", "x", "--rerank", "maybe"), "auto, off or a number"),
        (("search", "x", "-k", "0"), "from 1 to 1000"),
        (("search", "x", "--arms", "smell"), "no arm 'smell'"),
        (("search", "x", "--collection", "nowhere"), "no collection 'nowhere'"),
        (("search", "x", "--filter", "year"), "field=value"),
        (("search", "x", "--budget-ms", "-1"), "above 0"),
        (("search", "x", "--encoder", "colur"), "did you mean colour"),
    ],
)
def test_wrong_usage_is_named_and_ends_with_two(arguments: tuple[str, ...], said: str) -> None:
    result = recto(*arguments)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_an_estimate_costs_nothing(colours: Path, tmp_path: Path) -> None:
    estimate = json.loads(recto("index", colours, "--dry-run", "--json").stdout)
    assert (estimate["documents"], estimate["pages"]) == (1, 3)
    assert estimate["disk_bytes"] > colours.stat().st_size
    assert json.loads(recto("search", "red", "--json").stdout)["hits"] == []


def test_a_removed_document_is_not_found_any_more(colours: Path) -> None:
    recto("index", colours)
    assert recto("remove", "colours").exit_code == 0
    assert json.loads(recto("search", "red", "--json").stdout)["hits"] == []
    assert recto("remove", "colours").exit_code == 2


def test_list_names_every_document_and_what_failed(colours: Path, tmp_path: Path) -> None:
    assert "recto index PATH" in recto("list").stdout
    recto("index", colours)
    recto("index", write_pdf(tmp_path / "more.pdf", [Sheet("red")]), "--collection", "other")
    shown = recto("list")
    assert shown.exit_code == 0
    assert ["default", "colours.pdf", "3", "ready"] in [
        line.split()[:4] for line in shown.stdout.splitlines()
    ]
    assert ["other", "more.pdf", "1", "ready"] in [line.split()[:4] for line in shown.stdout.splitlines()]
    (only,) = json.loads(recto("list", "--collection", "other", "--json").stdout)["documents"]
    assert (only["name"], only["collection"], only["pages"], only["states"]) == (
        "more.pdf", "other", 1, {"ready": 1},
    )  # fmt: skip
    assert recto("remove", only["id"]).exit_code == 0
    gone = recto("list", "--collection", "other")
    assert gone.exit_code == 2
    assert "no collection 'other'" in gone.stderr


def test_verify_says_that_all_is_whole(colours: Path) -> None:
    recto("index", colours)
    result = recto("verify")
    assert result.exit_code == 0
    assert "3 visual pages" in result.stdout


def test_doctor_and_models_need_no_library() -> None:
    assert json.loads(recto("doctor", "--json").stdout)["encoder"] == "colour"
    names = [row["name"] for row in json.loads(recto("models", "--json").stdout)]
    assert "builtin" in names
    assert "st:Qwen/Qwen3-VL-Reranker-2B" in names


def test_a_library_remembers_how_it_was_indexed(colours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recto("index", colours)
    for name in ("RECTO_ENCODER", "RECTO_RERANKER", "RECTO_ARMS"):
        monkeypatch.delenv(name)
    assert json.loads(recto("search", "red", "--json").stdout)["hits"][0]["page"] == 1


def test_the_version_is_printed() -> None:
    assert recto("--version").stdout.startswith("recto 0.")
