"""Generations side by side: a new encoder builds beside the old one; one rename swaps, one swaps back."""

import re
import shutil
from pathlib import Path

from domain.errors import StoreError, UsageError
from retrieve.files import sync_directory, write_file

POINTER = "current"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Generations:
    """A directory of generations and the pointer to the one that serves.

    The pointer file holds one name a line, the newest first: the first serves, the second is what a
    roll-back returns to.
    """

    def __init__(self, directory: Path) -> None:
        """Nothing is read or written yet."""
        self.directory = directory

    def path(self, name: str) -> Path:
        """Where a generation's files are; it may not exist yet.

        Raises:
            UsageError: the name is not one of a generation.
        """
        if not NAME.fullmatch(name) or name == POINTER:
            raise UsageError(f"a generation cannot be called {name!r}; use letters, digits, '.', '_' and '-'")
        return self.directory / name

    def names(self) -> tuple[str, ...]:
        """The generations on disk, in order of name."""
        if not self.directory.is_dir():
            return ()
        return tuple(sorted(path.name for path in self.directory.iterdir() if path.is_dir()))

    def current(self) -> str | None:
        """The generation that serves; None before the first swap."""
        history = self.history()
        return history[0] if history else None

    def history(self) -> tuple[str, ...]:
        """What served, the newest first.

        Raises:
            StoreError: the pointer is damaged or names a generation that is gone.
        """
        pointer = self.directory / POINTER
        try:
            lines = tuple(pointer.read_text().split())
        except FileNotFoundError:
            return ()
        except (OSError, UnicodeDecodeError) as error:
            raise StoreError(f"{pointer} cannot be read ({error}); delete it and index again") from error
        if not lines or not all(NAME.fullmatch(name) for name in lines):
            raise StoreError(f"{pointer} is damaged; write the name of one of {self.names()} into it")
        if not (self.directory / lines[0]).is_dir():
            raise StoreError(f"{pointer} names {lines[0]}, which is not there; there is {self.names()}")
        return lines

    def swap(self, name: str) -> None:
        """Let a generation serve from now on; all at once, durable on return. Twice is the same as once.

        Raises:
            StoreError: there is no such generation.
        """
        if not self.path(name).is_dir():
            raise StoreError(f"there is no generation {name} in {self.directory}; there is {self.names()}")
        before = self.history() if (self.directory / POINTER).exists() else ()
        self._point((name, *(old for old in before if old != name)))

    def roll_back(self) -> str:
        """Let the generation that served before serve again, and return its name.

        Raises:
            UsageError: there is none.
        """
        older = [name for name in self.history()[1:] if (self.directory / name).is_dir()]
        if not older:
            raise UsageError("there is no older generation to roll back to")
        self._point((older[0], self.history()[0], *older[1:]))
        return older[0]

    def drop(self, name: str) -> None:
        """Delete a generation that does not serve.

        Raises:
            UsageError: it serves.
        """
        if name == self.current():
            raise UsageError(f"generation {name} serves; swap to another one first")
        shutil.rmtree(self.path(name), ignore_errors=False)
        sync_directory(self.directory)

    def _point(self, history: tuple[str, ...]) -> None:
        text = "".join(f"{name}\n" for name in history).encode()
        write_file(self.directory / POINTER, lambda file: file.write(text))
