"""One worker process, seen from this side: start it, ask it, end it."""

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from domain.errors import DocumentError, Failure, StoreError
from ingest.limits import Limits
from ingest.sandbox import Confinement
from ingest.wire import ClosedError, LateError, Message, OversizeError, receive, send

_log = logging.getLogger(__name__)

_START_TIMEOUT_S = 60.0
_ROOT = Path(__file__).resolve().parent.parent
_SMALL_BYTES = 64 * 1024 * 1024


class Worker:
    """A child process that reads documents for us. One thread at a time may ask it."""

    def __init__(self, limits: Limits) -> None:
        """Start it and wait until it is ready.

        Raises:
            StoreError: it does not start, which no document can be blamed for.
        """
        self._limits = limits
        self.answers = 0
        self._opened = ("", "", "")
        self._ending = threading.Lock()
        lifeline, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(
                _command(limits, lifeline), env=_environment(), pass_fds=(lifeline,), bufsize=0,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        finally:
            os.close(lifeline)
        try:
            deadline = time.monotonic() + _START_TIMEOUT_S
            ready = receive(self._answers_fd, max_bytes=_SMALL_BYTES, deadline=deadline)
        except (ClosedError, LateError, OversizeError) as error:
            self.kill()
            raise StoreError("a rendering worker does not start; run `recto doctor`") from error
        self.confinement = Confinement(bool(ready.fields["offline"]), bool(ready.fields["read_only"]))

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def ask(self, fields: Mapping[str, Any]) -> Message:
        """Ask for one thing and wait for the answer.

        Raises:
            DocumentError: the document is at fault. With code `crashed`, `timeout` or an oversized answer the
                worker is dead afterwards.
        """
        wanted = (str(fields["engine"]), str(fields["path"]), str(fields["version"]))
        extra = 0.0 if wanted == self._opened else self._limits.open_timeout_s
        self._opened = wanted
        self.answers += 1
        deadline = time.monotonic() + self._limits.page_timeout_s + extra
        try:
            send(self._requests_fd, Message(fields))
            answer = receive(self._answers_fd, max_bytes=self._limits.max_output_bytes, deadline=deadline)
        except LateError as error:
            self.kill()
            raise DocumentError("timeout", _late(self._limits)) from error
        except OversizeError as error:
            self.kill()
            raise DocumentError("too_large", f"it makes {error}") from error
        except ClosedError as error:
            raise self._death() from error
        if "code" in answer.fields:
            failure = Failure(answer.fields["code"], str(answer.fields["message"]))
            raise DocumentError(failure.code, failure.message)
        return answer

    @property
    def alive(self) -> bool:
        """Whether it can be asked again."""
        return self._process.poll() is None

    def kill(self) -> None:
        """End it and everything that it started, now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        with self._ending:  # a pool that closes and a request under way may both be here
            if self._lifeline >= 0:
                os.close(self._lifeline)
                self._lifeline = -1

    def _death(self) -> DocumentError:
        self.kill()
        status = self._process.returncode
        _log.warning("a rendering worker ended with status %s", status)
        if status == -signal.SIGXCPU:
            return DocumentError("timeout", _late(self._limits))
        return DocumentError(
            "crashed", f"it ended the renderer (status {status}); other pages are not affected"
        )

    @property
    def _requests_fd(self) -> int:
        return self._process.stdin.fileno() if self._process.stdin else -1

    @property
    def _answers_fd(self) -> int:
        return self._process.stdout.fileno() if self._process.stdout else -1


def _late(limits: Limits) -> str:
    return (
        f"it takes longer to render than {limits.page_cpu_s} s of work or {limits.page_timeout_s:g} s in all"
    )


def _command(limits: Limits, lifeline: int) -> list[str]:
    arguments = {"limits": asdict(limits), "lifeline": lifeline, "engines": ["mupdf"]}
    return [sys.executable, "-P", "-s", "-W", "ignore", "-m", "ingest.worker", json.dumps(arguments)]


def _environment() -> dict[str, str]:
    """Where to find our code and poppler, and nothing else: keys and tokens stay here."""
    poppler = shutil.which("pdftoppm")
    folders = [str(Path(poppler).parent)] if poppler else []
    return {
        "PATH": os.pathsep.join([*folders, os.defpath]),
        "PYTHONPATH": str(_ROOT),
        "LC_ALL": "C.UTF-8",
        "OMP_NUM_THREADS": "1",
    }
