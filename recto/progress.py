"""How far a verb is, on stderr: bars on a terminal, lines in a log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from recto.console import err

if TYPE_CHECKING:
    from library.library import Watch
    from library.results import Progress as Step

LINE_S = 30.0
"""Seconds between two lines in a log."""


class Bars(Progress):
    """Bars on stderr where that is a terminal; elsewhere, as in a log, a line now and then; nothing when quiet."""

    def __init__(self, *columns: ProgressColumn, quiet: bool) -> None:
        """Draw bars of these columns; by default a name, how many of how many, and the time left."""
        self._in_lines, self._said = not quiet and not err.is_terminal, time.monotonic()
        self._named: dict[str, TaskID] = {}
        usual = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        super().__init__(*(columns or usual), console=err, disable=quiet or self._in_lines, transient=True)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Change a bar."""
        super().update(task_id, **changes)
        self._say(task_id)

    def advance(self, task_id: TaskID, advance: float = 1) -> None:
        """Count on."""
        super().advance(task_id, advance)
        self._say(task_id)

    def step(self, step: "Step") -> None:
        """Show how far indexing is, as a bar of its own."""
        self.update(self._task("embedding pages"), completed=step.pages_done, total=step.pages_total)
        if step.to_read:
            self.tick("reading words in pictures")
        if not step.document:
            self.tick("putting the index in order")

    def tick(self, name: str) -> None:
        """Advance the bar of this name, whose length is not known."""
        self.advance(self._task(name))

    def _task(self, name: str) -> TaskID:
        if name not in self._named:
            self._named[name] = self.add_task(name, total=None)
        return self._named[name]

    def _say(self, task_id: TaskID) -> None:
        if not self._in_lines or time.monotonic() < self._said + LINE_S:
            return
        self._said, task = time.monotonic(), next(task for task in self.tasks if task.id == task_id)
        done = f"{task.completed:.0f}" if task.total is None else f"{task.completed:.0f}/{task.total:.0f}"
        left = f", {timedelta(seconds=task.time_remaining)} left" if task.time_remaining else ""
        err.print(Text(f"{task.description}: {done}{left}"), soft_wrap=True)


class Rate(ProgressColumn):
    """Pages a second so far."""

    def render(self, task: Task) -> Text:
        """The rate, empty before the first page."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.1f} pages/s" if speed else "", style="cyan")


@contextmanager
def page_progress(*, quiet: bool) -> "Iterator[Watch]":
    """How far a job is, with pages a second and the time left; nothing when `quiet`."""
    columns = (
        TextColumn("{task.description}", style="progress.description", markup=False),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total:.0f} pages"),
        Rate(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, quiet=quiet) as bars:
        task = bars.add_task("indexing", total=0)

        def watch(step: Any) -> None:
            name = step.document or "putting the index in order"
            if step.to_read:
                name = f"reading pictures, {step.to_read} left"
            name = name if len(name) <= 32 else f"{name[:31]}…"
            bars.update(task, description=name, completed=step.pages_done, total=step.pages_total)

        yield watch
