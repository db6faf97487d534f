"""Encodes the queries of concurrent requests together, a thread a model, and remembers what it encoded."""

import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from PIL import Image

from domain.fingerprint import Fingerprint
from library.arms import Tower
from retrieve.dense import PageText
from retrieve.encoder import Encoder, Vectors
from service.metrics import Metrics

_MOST = 32
_Asked = tuple[str, "Future[Vectors]"]
_Encode = Callable[[Sequence[str]], list[Vectors]]


class SharedQueries:
    """One model's queries for many threads: same vectors, fewer calls.

    Nothing is held back to fill a batch: whatever came while the last one was encoded makes up the next, so a
    lone request waits for nobody. Equal texts that come together are encoded once.
    """

    def __init__(self, encode: _Encode, metrics: Metrics, *, cached: int) -> None:
        """Share this model's way of encoding, and keep the vectors of the last `cached` queries."""
        self._encode, self._metrics, self._cached = encode, metrics, cached
        self._lock, self._closed = threading.Lock(), False
        self._known: OrderedDict[str, Vectors] = OrderedDict()
        self._coming: dict[str, Future[Vectors]] = {}
        self._asked: queue.SimpleQueue[_Asked | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="recto-model", daemon=True)
        self._thread.start()

    def __call__(self, texts: Sequence[str]) -> list[Vectors]:
        """Embed query texts, together with those of other threads, or give what is remembered."""
        if self._closed:
            return self._encode(texts)
        return [found.result() for found in [self._future(text) for text in texts]]

    def close(self) -> None:
        """End the thread; what was asked before is still answered, what is asked after alone and at once."""
        self._closed = True
        self._asked.put(None)
        self._thread.join()

    def _future(self, text: str) -> "Future[Vectors]":
        with self._lock:
            known = self._known.get(text)
            if known is not None:
                self._known.move_to_end(text)
            self._metrics.cached(hit=known is not None)
            if known is None and text in self._coming:
                return self._coming[text]
            future: Future[Vectors] = Future()
            if known is None:
                self._coming[text] = future
        if known is None:
            self._asked.put((text, future))
        else:
            future.set_result(known)
        return future

    def _work(self) -> None:
        while (batch := self._batch()) is not None:
            texts = [text for text, _ in batch]
            self._metrics.batch(len(texts))
            try:
                vectors = self._encode(texts)
            except Exception as error:  # noqa: BLE001  every request that waits must hear of it
                self._fail(batch, error)
                continue
            for (text, future), found in zip(batch, vectors, strict=True):
                self._keep(text, found)
                future.set_result(found)

    def _batch(self) -> list[_Asked] | None:
        first = self._asked.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < _MOST:
            try:
                following = self._asked.get_nowait()
            except queue.Empty:
                break
            if following is None:
                self._asked.put(None)
                break
            batch.append(following)
        return batch

    def _keep(self, text: str, vectors: Vectors) -> None:
        with self._lock:
            self._coming.pop(text, None)
            self._known[text] = vectors
            while len(self._known) > self._cached:
                self._known.popitem(last=False)

    def _fail(self, batch: Sequence[_Asked], error: Exception) -> None:
        with self._lock:
            for text, _ in batch:
                self._coming.pop(text, None)
        for _, future in batch:
            future.set_exception(error)


class SharedEncoder:
    """A visual bi-encoder whose queries are shared; pages are embedded in the calling thread."""

    def __init__(self, encoder: Encoder, metrics: Metrics, *, cached: int) -> None:
        """Share this encoder, and keep the vectors of the last `cached` queries."""
        self._encoder = encoder
        self.queries = SharedQueries(encoder.queries, metrics, cached=cached)

    @property
    def name(self) -> str:
        """The shared encoder's name."""
        return self._encoder.name

    @property
    def dim(self) -> int:
        """The width of every vector."""
        return self._encoder.dim

    @property
    def fingerprint(self) -> Fingerprint:
        """What makes the vectors: sharing changes nothing."""
        return self._encoder.fingerprint

    def pages(self, images: Sequence[Image.Image]) -> list[Vectors]:
        """Embed page images in the calling thread: they come in batches of their own."""
        return self._encoder.pages(images)

    def close(self) -> None:
        """End the thread."""
        self.queries.close()


class SharedTower:
    """A text tower whose questions are shared; passages are embedded in the calling thread."""

    def __init__(self, tower: Tower, metrics: Metrics, *, cached: int) -> None:
        """Share this tower, and keep the vectors of the last `cached` questions."""
        self._tower = tower
        self.queries = SharedQueries(tower.queries, metrics, cached=cached)

    @property
    def dim(self) -> int:
        """The width of every vector."""
        return self._tower.dim

    @property
    def fingerprint(self) -> Fingerprint:
        """What makes the vectors: sharing changes nothing."""
        return self._tower.fingerprint

    def passages(self, pages: Sequence[PageText]) -> list[Vectors]:
        """Embed pages in the calling thread: they come in batches of their own."""
        return self._tower.passages(pages)

    def close(self) -> None:
        """End the thread."""
        self.queries.close()
