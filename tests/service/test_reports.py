"""Evaluation reports on the web page: what `recto evaluate --report` writes is listed and opened as it is."""

import json
import shutil
from pathlib import Path

from starlette.testclient import TestClient

from evaluation.report import load
from library.library import Library

REAL = Path(__file__).parents[2] / "benchmarks" / "results" / "pages-mmdocir.json"


def test_a_report_as_evaluation_writes_it_is_listed_with_its_figures(
    client: TestClient, library: Library
) -> None:
    folder = library.directory / "reports" / "mine"
    folder.mkdir(parents=True)
    shutil.copy(REAL, folder / "report.json")
    last = load(REAL).stages[-1].figures["nDCG@5"]
    listed = client.get("/reports").text
    assert "mine" in listed
    assert f"{last.mean:.3f}" in listed
    assert f"{last.mean:.3f}" in client.get("/reports/mine").text
    (folder / "report.html").write_text("<p>as written</p>")
    shown = client.get("/reports/mine")
    assert shown.text == "<p>as written</p>"
    assert "default-src 'none'" in shown.headers["content-security-policy"]


def test_a_folder_that_holds_no_report_is_not_listed(client: TestClient, library: Library) -> None:
    folder = library.directory / "reports" / "odd"
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps({"stages": 3}))
    assert "odd" not in client.get("/reports").text
    assert f"--report {library.directory / 'reports'}/mine" in client.get("/reports").text
    assert client.get("/reports/odd").status_code == 404
