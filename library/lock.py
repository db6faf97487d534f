"""One writer a library, across threads and processes."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from domain.errors import BusyError


class WriterLock:
    """Held while a process writes; another process gets BusyError after `patience_s` seconds."""

    def __init__(self, path: Path, *, patience_s: float = 2.0) -> None:
        """Guard the library whose lock file is `path`."""
        self._path = path
        self._lock = FileLock(path, timeout=patience_s, thread_local=False)

    def take(self) -> bool:
        """Hold it, without waiting, unless another process does; `give` lets go again."""
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        return True

    def give(self) -> None:
        """Let go of what `take` took."""
        self._lock.release()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock; entering it again in the same process is allowed.

        Raises:
            BusyError: another process holds it.
        """
        try:
            self._lock.acquire()
        except Timeout as error:
            raise BusyError(
                f"another process writes to the library in {self._path.parent}; wait for it to end, "
                "or add documents through the running service"
            ) from error
        try:
            yield
        finally:
            self._lock.release()
