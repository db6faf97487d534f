"""Random adds, removals, merges, crashes and reopenings, compared with a dictionary."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.fingerprint import Fingerprint
from domain.page import document_of, page_id
from retrieve.encoder import Vectors
from retrieve.engine import Engine
from retrieve.engine_options import EngineOptions
from retrieve.flat import FlatIndex
from retrieve.maxsim import Kind

DIM = 8
PAGES = st.sampled_from([page_id(doc, number) for doc in "abc" for number in range(1, 7)])
QUERY = Vectors(np.eye(DIM, dtype=np.float32)[:3])


def vectors(seed: int) -> Vectors:
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(seed % 5, DIM)).astype(np.float32)
    return Vectors(rows / np.linalg.norm(rows, axis=1, keepdims=True))


class EngineMachine(RuleBasedStateMachine):
    """The model is what a dictionary would hold; `exact_rows` is so low that the first stage is in play.

    Merges and the first stage's growth run on a thread of their own, whenever they come to it.
    """

    stored: Kind = "int8"

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="recto-test-"))
        self.model: dict[str, Vectors] = {}
        self.engine = self.opened()

    def opened(self) -> Engine:
        options = EngineOptions(pooled=2, candidates=18, products=0, exact_rows=8, stored=self.stored)
        made_by = Fingerprint("test")
        return Engine.open(self.directory, fingerprint=made_by, dim=DIM, options=options, writable=True)

    @rule(batch=st.dictionaries(PAGES, st.integers(0, 60), max_size=6))
    def add(self, batch: dict[str, int]) -> None:
        self.engine.add(list(batch), [vectors(seed) for seed in batch.values()])
        for page, seed in batch.items():
            self.model.pop(page, None)
            if seed % 5:
                self.model[page] = vectors(seed)

    @rule(pages=st.lists(PAGES, max_size=8))
    def remove(self, pages: list[str]) -> None:
        self.engine.remove(pages)
        for page in pages:
            self.model.pop(page, None)

    @rule()
    def compact(self) -> None:
        self.engine.compact()

    @rule()
    def settle(self) -> None:
        self.engine.settle()

    @rule()
    def rebuild(self) -> None:
        self.engine.rebuild()

    @rule()
    def reopen(self) -> None:
        self.engine.close()
        self.engine = self.opened()

    @rule(cut=st.floats(0, 1))
    def crash_while_writing(self, cut: float) -> None:
        """A segment and a manifest were being written; neither was renamed into place or named."""
        self.engine.close()
        (self.directory / ".tmp-crash").write_bytes(b"x" * int(100 * cut))
        for number, path in enumerate(sorted(self.directory.glob("*.tokens"))[:1]):
            data = path.read_bytes()
            (self.directory / f"9{number:07d}.tokens").write_bytes(data[: int(len(data) * cut)])
        self.engine = self.opened()

    @rule()
    def lose_the_cache(self) -> None:
        self.engine.close()
        shutil.rmtree(self.directory / "cache", ignore_errors=True)
        self.engine = self.opened()

    @invariant()
    def holds_what_the_dictionary_holds(self) -> None:
        assert self.engine.pages() == self.model.keys()
        assert self.engine.damaged == ()
        flat = FlatIndex()
        flat.add(list(self.model), list(self.model.values()))
        for within in (None, frozenset("b")):
            wanted = [page for page in self.model if within is None or document_of(page) in within]
            found = self.engine.search(QUERY, k=20, within=within)
            assert {hit.page for hit in found} == set(wanted)
            exact = {hit.page: hit.score for hit in flat.nearest(QUERY, k=20)}
            assert all(abs(hit.score - exact[hit.page]) < 0.05 for hit in found)

    def teardown(self) -> None:
        assert self.engine.verify(full=True) == ()
        self.engine.close()
        shutil.rmtree(self.directory)


TestEngineMachine = EngineMachine.TestCase
TestEngineMachine.settings = settings(max_examples=8, stateful_step_count=12, deadline=None)


class HalfPrecisionMachine(EngineMachine):
    """The same, stored in half precision."""

    stored = "float16"


TestHalfPrecisionMachine = HalfPrecisionMachine.TestCase
TestHalfPrecisionMachine.settings = settings(max_examples=4, stateful_step_count=12, deadline=None)
