"""SIGKILL at many moments: what was committed stays, nothing stands twice, at most one batch is done again."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from domain.page import Query
from library.library import Library
from library.options import SearchOptions
from library.settings import Settings
from tests.pdfs import Sheet, write_pdf

COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "cyan", "magenta")
BATCH = 2
KILLS = 5
INDEX = """
import sys
from pathlib import Path
from library.library import Library
with Library.open(Path(sys.argv[1])) as library:
    for job in library.jobs() or [library.accept([Path(sys.argv[2])])]:
        for step in library.process(job.id):
            print(step.pages_done, flush=True)
"""


def pages_ready(place: Path) -> set[str]:
    with Library.open(place) as library:
        return {
            page.id for doc in library.documents() for page in library.pages(doc.id) if page.state == "ready"
        }


@pytest.mark.slow
def test_a_killed_index_goes_on_where_it_was(tmp_path: Path) -> None:
    sheets = [Sheet(COLOURS[n % 8], f"page{n:03d} of the long book") for n in range(48)]
    book = write_pdf(tmp_path / "book.pdf", sheets)
    place, chance = tmp_path / "library", random.Random(1)
    settings = Settings(
        encoder="colour", reranker="none", arms=("visual", "lexical"), batch_pages=BATCH, workers=1
    )
    Library.open(place, settings).close()
    settings.save(place)
    before: set[str] = set()
    for _ in range(KILLS):
        done = killed_run(place, book, chance.randint(1, 3), chance.uniform(0.0, 0.08))
        ready = pages_ready(place)
        assert before <= ready, "a committed page was lost"
        assert len(ready) >= done - BATCH
        before = ready
    with Library.open(place) as library:
        for job in library.jobs():
            steps = [step.pages_done for step in library.process(job.id)]
            assert steps[0] <= len(before) + BATCH
        assert library.verify().damaged == ()
        found = library.run(
            [Query(str(n), f"page{n:03d}") for n in range(48)], SearchOptions(arms=("lexical",))
        )
        assert [len(answer.hits) for answer in found.answers] == [1] * 48
        everything = library.run([Query("all", "red green blue")], SearchOptions(k=100, arms=("visual",)))
        assert len(everything.answers[0].hits) == 48
        assert library.index([book]).skipped


def killed_run(place: Path, book: Path, steps: int, delay_s: float) -> int:
    """Index until some steps were reported, wait a little, kill the whole process group; pages done then."""
    child = subprocess.Popen(
        [sys.executable, "-c", INDEX, place, book], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert child.stdout is not None
    done = 0
    for _ in range(steps):
        line = child.stdout.readline()
        done = int(line) if line.strip() else done
    time.sleep(delay_s)
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    return done


@pytest.mark.slow
def test_a_second_writer_is_told_to_wait(tmp_path: Path) -> None:
    book = write_pdf(
        tmp_path / "book.pdf", [Sheet("red", "one"), Sheet("blue", "two"), Sheet("green", "three")]
    )
    settings = Settings(encoder="colour", reranker="none", arms=("visual",), batch_pages=1, workers=1)
    with Library.open(tmp_path / "library", settings) as library:
        steps = library.process(library.accept([book]).id)
        next(steps)
        other = (
            "import sys; from pathlib import Path; from library.library import Library\n"
            "from domain.errors import BusyError\n"
            "try:\n Library.open(Path(sys.argv[1])).index([sys.argv[2]])\n"
            "except BusyError as error:\n print('busy', error)"
        )
        child = subprocess.run(
            [sys.executable, "-c", other, library.directory, book], capture_output=True, text=True, check=True
        )
        assert "busy" in child.stdout
        list(steps)
        assert len(library.search("red").hits) == 3
