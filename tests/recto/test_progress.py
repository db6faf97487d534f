"""How far a verb is: bars are for terminals, a log gets a line now and then."""

import io

import pytest
from rich.console import Console

from library.results import Progress
from recto import progress


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """What stderr gets where it is a file."""
    kept = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=kept, width=40))
    return kept


def _step(done: int, document: str = "annual [2019].pdf", to_read: int = 0) -> Progress:
    return Progress("job", done, 30, document, 1, 1.0, to_read)


def test_a_log_gets_lines_and_no_bars(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with progress.page_progress(quiet=False) as watch:
        watch(_step(10))
        watch(_step(30, to_read=4))
    first, second = log.getvalue().splitlines()
    assert first.startswith("annual [2019].pdf: 10/30")
    assert second.startswith("reading pictures, 4 left: 30/30")


def test_a_name_is_shown_as_it_is_spelled(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(progress, "err", Console(file=screen, width=120, force_terminal=True))
    with progress.page_progress(quiet=False) as watch:
        watch(_step(10, document="minutes [/b] [red].pdf"))
    assert "minutes [/b] [red].pdf" in screen.getvalue()


def test_what_is_done_before_the_first_line_is_due_leaves_the_log_empty(log: io.StringIO) -> None:
    with progress.page_progress(quiet=False) as watch:
        watch(_step(10))
    assert log.getvalue() == ""


def test_quiet_is_quiet(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with progress.Bars(quiet=True) as bars:
        bars.step(_step(10))
        bars.tick("asking")
    assert log.getvalue() == ""


def test_steps_of_unknown_number_are_counted(log: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_S", 0.0)
    with progress.Bars(quiet=False) as bars:
        bars.step(_step(10, document=""))
        bars.tick("asking")
        bars.tick("asking")
    lines = log.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "embedding pages: 10/30", "putting the index in order: 1", "asking: 1", "asking: 2"
    ]  # fmt: skip
