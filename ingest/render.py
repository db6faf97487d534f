"""Pages of a document as pictures with their text, one after another, in bounded memory."""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from domain.errors import DocumentError, Failure, FailureCode
from domain.page import Word
from ingest.layer import unpack
from ingest.limits import Limits
from ingest.pool import Pool
from ingest.probe import EngineName, Probe, engines, examine, request
from ingest.remedies import with_remedy
from ingest.sandbox import Confinement
from ingest.sniff import Sniffed, sniff
from ingest.wire import Message

_AHEAD = 2
_COSTLY: frozenset[FailureCode] = frozenset({"timeout", "crashed", "too_large"})
_ANOTHER_TRY: frozenset[FailureCode] = frozenset({"corrupt", "crashed"})


@dataclass(frozen=True, slots=True)
class Rendered:
    """A page as it is stored.

    Attributes:
        number: from 1.
        width_px: of the upright picture.
        height_px: of the upright picture.
        image: PNG or JPEG bytes, grey where the page has no colour.
        media_type: `image/png` or `image/jpeg`.
        text: the text layer in reading order, "" where there is none.
        layer: text and words with their places on the upright picture, packed to be stored.
        blank: nothing is drawn and nothing is written on it.
        wordless: the share of the page that is drawn in detail where no word of the text layer stands.
        renderer: what read it.
    """

    number: int
    width_px: int
    height_px: int
    image: bytes = field(repr=False)
    media_type: str
    text: str = field(repr=False)
    layer: bytes = field(repr=False)
    blank: bool
    wordless: float
    renderer: EngineName

    @property
    def words(self) -> tuple[Word, ...]:
        """The words with their places on the upright picture, unpacked at every call."""
        return unpack(self.layer).words


@dataclass(frozen=True, slots=True)
class FailedPage:
    """A page that could not be rendered, and why."""

    number: int
    failure: Failure


class Renderer:
    """Worker processes kept warm across documents; a context manager, usable from several threads."""

    def __init__(self, limits: Limits | None = None, workers: int = 2) -> None:
        """Remember the limits; workers start with the first request.

        Raises:
            ValueError: fewer than one worker.
        """
        self._pool = Pool(limits or Limits(), workers)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="render")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pids(self) -> tuple[int, ...]:
        """Process ids of the living workers, to measure them."""
        return self._pool.pids

    def confinement(self) -> Confinement:
        """What holds a worker on this machine, beyond the plain limits; starts one to find out.

        Raises:
            StoreError: no worker starts.
        """
        return self._pool.confinement()

    def probe(self, path: Path) -> Probe:
        """Open a document and say what it is.

        Raises:
            DocumentError: it cannot be read, is empty, encrypted, damaged or too large, or too long.
        """
        return examine(self._pool, path)

    def pages(self, path: Path, numbers: Sequence[int]) -> Iterator[Rendered | FailedPage]:
        """Render pages, in the order asked for, a few ahead of what has been taken.

        Args:
            path: a document that `probe` accepted.
            numbers: page numbers from 1.

        Yields:
            The page, or why there is none; one for every number.

        Raises:
            DocumentError: the file itself can no longer be read.
        """
        limits = self._pool.limits
        sniffed = sniff(path, limits)
        todo = deque(numbers)
        running: deque[Future[Rendered | FailedPage]] = deque()
        streak = _Streak(limits)
        try:
            while todo or running:
                while todo and len(running) < self._pool.size + _AHEAD:
                    running.append(self._threads.submit(self._page, path, sniffed, todo.popleft()))
                page = running.popleft().result()
                yield page
                if streak.hopeless(page):
                    yield from _given_up(running, todo)
                    return
        finally:
            for future in running:
                future.cancel()

    def close(self) -> None:
        """End the workers; pages under way are lost."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._pool.close()
        self._threads.shutdown(wait=True)

    def _page(self, path: Path, sniffed: Sniffed, number: int) -> Rendered | FailedPage:
        """One renderer after another; an empty page from one, where another died, is not believed."""
        failures: list[DocumentError] = []
        for engine in engines(sniffed.kind):
            try:
                answer = self._pool.ask(request(path, sniffed, engine, ask="page", number=number))
            except DocumentError as error:
                failures.append(error)
                if error.code not in _ANOTHER_TRY:
                    break
            else:
                page = _rendered(number, engine, answer)
                if not (page.blank and any(failure.code in _COSTLY for failure in failures)):
                    return page
        worst = next((failure for failure in failures if failure.code in _COSTLY), failures[0])
        sentence = with_remedy(worst.code, str(worst))
        return FailedPage(number, Failure(worst.code, f"page {number}: {sentence}"))


def render(
    path: Path, numbers: Sequence[int], limits: Limits, *, workers: int = 2
) -> Iterator[Rendered | FailedPage]:
    """`Renderer.pages` with workers of its own, ended when the iteration ends."""
    with Renderer(limits, workers) as renderer:
        yield from renderer.pages(path, numbers)


def _given_up(
    running: Iterable[Future[Rendered | FailedPage]], waiting: Iterable[int]
) -> Iterator[Rendered | FailedPage]:
    """What was begun, and a failure for every page that will not be tried."""
    last: FailureCode = "corrupt"
    for future in running:
        page = future.result()
        last = page.failure.code if isinstance(page, FailedPage) else last
        yield page
    for number in waiting:
        sentence = "not tried, because so many pages in a row before it failed"
        yield FailedPage(number, Failure(last, f"page {number}: {with_remedy(last, sentence)}"))


class _Streak:
    """Counts failed pages in a row."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._failed = 0
        self._costly = 0

    def hopeless(self, page: Rendered | FailedPage) -> bool:
        """Take the next page; True when the document should be given up."""
        failed = isinstance(page, FailedPage)
        costly = isinstance(page, FailedPage) and page.failure.code in _COSTLY
        self._failed = self._failed + 1 if failed else 0
        self._costly = self._costly + 1 if costly else 0
        limits = self._limits
        return self._costly >= limits.costly_pages_in_a_row or self._failed >= limits.failed_pages_in_a_row


def _rendered(number: int, engine: EngineName, answer: Message) -> Rendered:
    fields, body = answer.fields, answer.body
    cut = int(fields["image_bytes"])
    return Rendered(
        number, int(fields["width_px"]), int(fields["height_px"]), body[:cut], str(fields["media_type"]),
        str(fields["text"]), body[cut:], bool(fields["blank"]), float(fields["wordless"]), engine,
    )  # fmt: skip
