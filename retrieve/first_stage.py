"""The first stage: a few pooled vectors a page in FAISS, and from a query to the pages worth an exact look.

FAISS finds the pages that any query token comes near; those are compared whole, by their pooled vectors in
bytes; the best of them go on. Gathering alone would lose pages: a token says nothing of pages beyond its
nearest few hundred vectors (docs/decisions/0022). FAISS holds the first two thirds of a page's pooled vectors, which
are spread over the page as all of them are: it finds as many pages in them (docs/decisions/0098).

It is a cache of a token store. It knows pages by their uids: pages newer than `covered` are unknown to it
and removed ones linger, so whoever asks scores the unknown ones exactly and says which ones live.
"""

import threading
from collections.abc import Callable, Iterator, Sequence

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieve.cells import as_cells, merge_cells
from retrieve.crew import search_shared
from retrieve.effort import COMPARED, asked, compared
from retrieve.encoder import Floats
from retrieve.gathering import PageTable, Uids, gathered, settled
from retrieve.gpu import LARGEST, GpuCells
from retrieve.maxsim import Lot, Quantised, Scorer, quantised, restored, stacked
from retrieve.pages_on_device import PagesOnDevice
from retrieve.parts import Alive, Part, View
from retrieve.pooling import pooled

SAMPLE = 40
"""Vectors a cell that training looks at."""
ROUNDS = 6
"""How often training moves the cells: they only have to be found again, not to be the best."""
AT_ONCE = 64
"""Queries that are searched in one call at most: what FAISS finds for one takes half a megabyte."""
PROBES = 48
"""Cells looked at for each query token."""
NARROW = 512
"""Dimensions up to which product codes are trained in seconds."""
BATCH = 256

Read = Callable[[int], Floats]
"""From a position in a list of pages to the page's (n, dim) vectors."""


Room = Callable[[], PagesOnDevice | None]
"""Gives the place on a device where pooled vectors are compared; None compares on the processor."""


def no_room() -> PagesOnDevice | None:
    """No device."""
    return None


class FirstStage:
    """Pages as pooled vectors in one FAISS index of cells, on the processor or on GPUs.

    Attributes:
        template: the cells, trained and empty.
        index: the cells with every vector taken.
    """

    def __init__(self, cells: faiss.IndexIVF, *, count: int, trained: int) -> None:
        """Start empty.

        Args:
            cells: trained and empty; it is not changed.
            count: the largest number of vectors kept of a page.
            trained: how many pages there were when the cells were trained.
        """
        self.count, self.sought, self.trained = count, _sought(count), trained
        self.template = cells
        self.index = as_cells(faiss.clone_index(cells))
        self._gpu = GpuCells.of(cells)
        self.room: Room = no_room
        self._mutex = threading.Lock()  # FAISS does not search while it adds
        none = np.zeros(0, dtype=np.int64)
        self._view = View(none, (), none)

    @classmethod
    def fitted(cls, uids: Uids, read: Read, *, dim: int, count: int, lengths: Uids) -> "FirstStage":
        """Train cells on a sample of the pages; nothing is added.

        Args:
            uids: the pages, ascending.
            read: their vectors.
            dim: the width of the vectors.
            count: the largest number of vectors kept of a page.
            lengths: how many vectors the pages have.
        """
        rows = int(np.minimum(lengths, _sought(count)).sum())
        cells = max(1, int(np.sqrt(rows)))
        codes = f"PQ{dim // 2}x4fs" if dim % 2 == 0 and dim <= NARROW else "SQ8"
        index = faiss.index_factory(dim, f"IVF{cells},{codes}", faiss.METRIC_INNER_PRODUCT)
        for training in (index.cp, *([index.pq.cp] if codes.startswith("PQ") else ())):  # type: ignore[attr-defined]  # of the class that the factory made
            training.niter, training.min_points_per_centroid = ROUNDS, 1
        wanted = max(cells * SAMPLE, 16)
        chosen = np.random.default_rng(0).permutation(len(uids))[: -(-wanted * len(uids) // rows)]
        sample = np.concatenate([pooled(read(int(at)), count)[: _sought(count)] for at in chosen])
        index.train(np.resize(sample, (max(len(sample), 16), dim)))
        return cls(as_cells(index), count=count, trained=len(uids))

    @property
    def covered(self) -> int:
        """The newest page known; 0 when there is none."""
        pages = self._view.pages
        return int(pages[-1]) if len(pages) else 0

    @property
    def pages(self) -> Uids:
        """The pages known, ascending; removed ones linger."""
        return self._view.pages

    @property
    def parts(self) -> tuple[Part, ...]:
        """What was taken, oldest pages first; their indexes are used up."""
        return self._view.parts

    def part(self, uids: Uids, read: Read) -> Part:
        """Pool pages and sort them into the cells; nothing changes until they are taken."""
        lengths: list[int] = []
        pieces: list[Quantised] = []
        index = as_cells(faiss.clone_index(self.template))
        for start in range(0, len(uids), BATCH):
            some = range(start, min(start + BATCH, len(uids)))
            rows = [pooled(read(at), self.count) for at in some]
            first = [page[: self.sought] for page in rows]
            owners = np.repeat(uids[some.start : some.stop], [len(page) for page in first])
            index.add_with_ids(np.concatenate(first), owners)
            pieces.append(quantised(np.concatenate(rows)))
            lengths.extend(len(page) for page in rows)
        table = PageTable.empty().extended(uids, lengths)
        return Part(index, table, stacked(pieces))

    def take(self, part: Part) -> None:
        """Make pages findable, newer than all that are there; the part's own index must not be used any more."""
        view = self._view
        with self._mutex:
            if self.index.ntotal:
                merge_cells(self.index, part.index)
            else:
                self.index = part.index
            if self._gpu is not None:
                held = part.table.firsts(self.sought)
                self._gpu.add(
                    restored(part.rows.codes[held], part.rows.scales[held]), part.table.owners[held]
                )
            self._view = View(
                np.concatenate([view.pages, part.table.pages]),
                (*view.parts, part),
                np.append(view.firsts, len(view.pages)),
            )

    def join(self, table: PageTable, rows: Quantised) -> None:
        """Hold as one part what is held in several: the same pages and vectors."""
        view = self._view
        self._view = View(view.pages, (Part(self.index, table, rows),), np.zeros(1, dtype=np.int64))

    def alive(self, living: Uids) -> Alive:
        """Which pages are among these uids, ascending; those not known are passed over."""
        view = self._view
        places = np.searchsorted(view.pages, living[living <= view.pages[-1]] if len(view.pages) else [])
        found = view.pages[places] == living[: len(places)]
        mask = np.zeros(len(view.pages), dtype=bool)
        mask[places[found]] = True
        return Alive(view, mask, int(found.sum()))

    def shows(self, alive: Alive) -> bool:
        """Whether no page was added since."""
        return alive.view is self._view

    def candidates(self, scorers: Sequence[Scorer], *, wanted: Sequence[int], alive: Alive) -> list[Uids]:
        """For each query its `wanted` best living pages by pooled vectors, and their ties, ascending; all if fewer.

        The tokens of queries that are looked at as deep are searched in one call; where pages that do not count leave
        a query too few, its search goes on with more cells and more vectors.

        Args:
            scorers: hold the queries.
            wanted: for each, how many pages are to be looked at exactly.
            alive: which pages may be found.
        """
        most = LARGEST - 1 if self._gpu is not None else max(COMPARED)  # more would be looked at no further
        chosen: dict[int, Uids] = {}
        depths: dict[int, list[int]] = {}
        for at, pages in enumerate(wanted):
            if pages >= alive.count:
                chosen[at] = alive.view.pages[alive.mask]
            else:
                depth = asked(len(scorers[at].query.rows), alive.count, most=most)
                depths.setdefault(max(depth, pages) + 1, []).append(at)
        for depth, places in depths.items():
            found = self._first_found([scorers[at] for at in places], alive, depth=depth)
            for at, (scores, uids) in zip(places, found, strict=True):
                near = self._near(scorers[at], alive, scores, uids, depth=depth, wanted=wanted[at])
                totals = self._compared(scorers[at], alive.view, near)
                # pages that tie with the last one come along: the exact look decides
                best = near[totals >= np.partition(totals, -wanted[at])[-wanted[at]]]
                chosen[at] = np.asarray(alive.view.pages[best])
        return [chosen[at] for at in range(len(scorers))]

    def _first_found(
        self, scorers: Sequence[Scorer], alive: Alive, *, depth: int
    ) -> Iterator[tuple[Floats, Uids]]:
        """Scores and pages of the vectors nearest to each query's tokens, of several queries in one call."""
        for start in range(0, len(scorers), AT_ONCE):
            rows = [scorer.query.rows for scorer in scorers[start : start + AT_ONCE]]
            ends = np.cumsum([len(own) for own in rows])[:-1]
            scores, uids = self._search(
                np.concatenate(rows), depth=depth, probes=PROBES, selector=alive.selector
            )
            yield from zip(np.split(scores, ends), np.split(uids, ends), strict=True)

    def _near(
        self, scorer: Scorer, alive: Alive, scores: Floats, uids: Uids, *, depth: int, wanted: int
    ) -> Uids:
        """The places of pages near any query token, at least `wanted` of the living, ascending.

        `scores` and `uids` are what a first search found, as deep as `depth`, for the query's tokens.
        """
        pages, mask = alive.view.pages, alive.mask
        probes, query = PROBES, scorer.query
        while True:
            known, totals = gathered(query, scores, uids)
            places = np.searchsorted(pages, known)
            there = places < len(pages)  # pages that are being added just now have no place yet
            there[there] = mask[places[there]]
            places, totals = places[there], totals[there]
            if settled(query, scores, totals, wanted=wanted):
                keep = min(compared(alive.count, wanted), len(totals))
                return np.asarray(places[totals >= np.partition(totals, -keep)[-keep]])
            if depth >= self.index.ntotal and probes >= self.template.nlist:
                return np.flatnonzero(mask)  # FAISS cannot tell so many vectors apart
            depth, probes = depth * 4, probes * 4
            scores, uids = self._search(query.rows, depth=depth, probes=probes, selector=alive.selector)

    def _compared(self, scorer: Scorer, view: View, places: Uids) -> NDArray[np.float64]:
        def read(place: int) -> Quantised:
            at = int(np.searchsorted(view.firsts, place, side="right")) - 1
            part, own = view.parts[at], place - view.firsts[at]
            rows = slice(int(part.table.bounds[own]), int(part.table.bounds[own + 1]))
            return Quantised(part.rows.codes[rows], part.rows.scales[rows])

        device = self.room()
        if device is not None:
            lengths = np.concatenate([np.diff(part.table.bounds) for part in view.parts])[places]
            return device.scores(scorer, view.pages[places], lengths, lambda at: read(int(places[at])))
        owner = np.searchsorted(view.firsts, places, side="right") - 1
        lots, order = [], []
        for number in np.unique(owner):
            mine, part = np.flatnonzero(owner == number), view.parts[number]
            own = places[mine] - view.firsts[number]
            spans = np.stack([part.table.bounds[own], part.table.bounds[own + 1]])
            lots.append(Lot(part.rows.codes, part.rows.scales, spans))
            order.append(mine)
        return scorer.scores_at(order, lots)

    @property
    def bytes(self) -> int:
        """About how much memory the index takes, the mapped vectors in bytes included."""
        rows = sum(len(part.rows.scales) for part in self._view.parts)
        in_cells = int(self.index.ntotal) * (int(self.index.code_size) + 8)
        return in_cells + rows * (int(self.index.d) + 4) + len(self._view.pages) * 32

    def _search(
        self, rows: Floats, *, depth: int, probes: int, selector: faiss.IDSelector | None
    ) -> tuple[Floats, Uids]:
        probes = min(probes, int(self.template.nlist))
        with self._mutex:
            if self._gpu is not None and selector is None and self._gpu.takes(depth, probes):
                return self._gpu.search(rows, depth=depth, probes=probes)
            options = faiss.SearchParametersIVF(nprobe=probes, sel=selector)  # type: ignore[call-arg]  # added by faiss in Python
            return search_shared(self.index, rows, min(depth, int(self.index.ntotal)), options)


def _sought(count: int) -> int:
    """How many of a page's `count` pooled vectors FAISS holds."""
    return max(1, count * 2 // 3)
