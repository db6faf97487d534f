"""What a worker process cannot do, seen from outside it."""

import os
import resource
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ingest.limits import MEBIBYTE, Limits
from ingest.process import Worker
from ingest.render import Renderer
from tests.ingest import bombs

ROOT = Path(__file__).parents[2]


@pytest.fixture
def worker():
    started = Worker(Limits(memory_bytes=512 * MEBIBYTE, max_open_files=40))
    yield started
    started.kill()


def test_a_worker_has_the_limits_that_were_asked_for(worker):
    def limit(kind: int) -> int:
        return resource.prlimit(worker.pid, kind)[1]

    assert limit(resource.RLIMIT_AS) == 512 * MEBIBYTE
    assert limit(resource.RLIMIT_NOFILE) == 40
    assert limit(resource.RLIMIT_FSIZE) == Limits().max_output_bytes
    assert limit(resource.RLIMIT_CORE) == 0


def test_the_processor_limit_follows_every_page(saved, worker):
    path = str(saved(bombs.one_page(b"")))
    worker.ask({"engine": "mupdf", "path": path, "version": "1", "ask": "page", "number": 1})
    assert 0 < resource.prlimit(worker.pid, resource.RLIMIT_CPU)[0] < 60


def test_a_worker_is_in_a_network_of_its_own_where_it_says_so(worker):
    if not worker.confinement.offline:
        pytest.skip("this kernel does not let a process leave its network")
    assert Path(f"/proc/{worker.pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()


def test_no_secret_of_the_parent_is_in_a_worker(monkeypatch):
    monkeypatch.setenv("RECTO_TEST_TOKEN", "secret")
    started = Worker(Limits())
    environment = Path(f"/proc/{started.pid}/environ").read_bytes()
    started.kill()
    assert b"secret" not in environment


def test_a_worker_loads_no_model_library(worker):
    maps = Path(f"/proc/{worker.pid}/maps").read_text()
    assert "mupdf" in maps.lower()
    assert not [name for name in ("libtorch", "faiss", "tantivy", "numpy") if name in maps]


CONFINED = """
import socket, sys
from pathlib import Path
from ingest.limits import Limits
from ingest.sandbox import confine
confinement = confine(Limits())
folder = Path(sys.argv[1])
deeds = {
    "write": lambda: (folder / "there").write_text("changed"),
    "make": lambda: (folder / "new").touch(),
    "remove": lambda: (folder / "there").unlink(),
    "connect": lambda: socket.create_connection(("127.0.0.1", int(sys.argv[2])), timeout=2).close(),
}
print(confinement.read_only, confinement.offline)
for name, deed in deeds.items():
    try:
        deed()
        print(name)
    except OSError:
        print("refused")
print((folder / "there").read_text())
"""


def test_a_confined_process_reads_files_but_writes_none_and_reaches_no_server(tmp_path):
    (tmp_path / "there").write_text("as it was")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-c", CONFINED, str(tmp_path), port],
            capture_output=True, text=True, cwd=ROOT, check=True,
        )  # fmt: skip
    held, *deeds, content = done.stdout.splitlines()
    if held != "True True":
        pytest.skip("this kernel has no Landlock or does not let a process leave its network")
    assert deeds == ["refused"] * 4
    assert content == "as it was"


def test_what_holds_a_worker_can_be_asked(renderer):
    held = renderer.confinement()
    assert {held.offline, held.read_only} <= {True, False}
    assert len(renderer.pids) <= 2


ORPHANS = """
import os, signal, sys, threading
from ingest.limits import Limits
from ingest.process import Worker
started = []
thread = threading.Thread(target=lambda: started.append(Worker(Limits())))
thread.start()
thread.join()
worker = started[0]
assert worker.alive  # although the thread that started it is gone
os.kill(worker.pid, signal.SIGSTOP) if sys.argv[1] == "stopped" else None
print(worker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("state", ["waiting", "stopped"])
def test_a_worker_ends_when_its_parent_is_killed_and_not_with_the_thread_that_started_it(state):
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS, state], capture_output=True, text=True, cwd=ROOT, check=False
    )
    pid = int(done.stdout)
    for _ in range(200):
        if (
            not Path(f"/proc/{pid}").exists()
            or "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
        ):
            return
        time.sleep(0.05)
    os.kill(pid, 9)
    pytest.fail("the worker outlived its parent")


def test_a_renderer_that_was_closed_starts_nothing(saved):
    with Renderer(Limits(), workers=1) as closed:
        list(closed.pages(saved(bombs.one_page(b"")), [1]))
    assert closed.pids == ()
    with pytest.raises(RuntimeError):
        list(closed.pages(saved(bombs.one_page(b"")), [1]))


def test_a_worker_is_replaced_after_its_share_of_pages(saved):
    path = saved(bombs.many_pages(9))
    seen = set()
    with Renderer(Limits(pages_per_worker=3), workers=1) as single:
        for page in single.pages(path, range(1, 10)):
            assert page.text == str(page.number)
            seen.update(single.pids)
    assert len(seen) >= 2
