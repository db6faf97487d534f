"""The built-in reranker: reads a page's text layer or, where it has none, what the visual encoder saw."""

from collections.abc import Callable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import models
from backbone.threads import Crew
from backbone.transformer import quick
from domain import words
from domain.errors import ModelError
from domain.fingerprint import Fingerprint
from domain.model import ModelSettings
from rerank.builtin.files import load_network
from rerank.builtin.network import RerankNetwork
from rerank.builtin.pairs import Reader, Reading, Wording, beside
from rerank.builtin.pieces import read_pieces
from rerank.builtin.spelling import Speller, read_words
from rerank.reranker import LEGIBLE, Candidate, PageFeatures

Featurise = Callable[[Image.Image], PageFeatures]

BATCH = 2
"""Pages read together by one thread, whose caches hold no more; several batches go side by side."""


class BuiltinReranker:
    """Scores a question and a page by the words that both show, and by what they mean.

    A page with a text layer is read by it; any other by the visual encoder's vectors, stored or made on the spot.
    Measured: reading by sight what could be read by text makes the ranking worse.
    """

    name = "builtin"

    def __init__(
        self, network: RerankNetwork, digest: str, reader: Reader, *, featurise: Featurise | None = None
    ) -> None:
        """Hold a loaded network; use `load` to read one."""
        self._network = network
        self._digest = digest
        self._featurise = featurise
        self._reader = reader
        self._crew = Crew()

    @property
    def fingerprint(self) -> Fingerprint:
        """What made the scores; a calibration belongs to one fingerprint."""
        return fingerprint(self._digest)

    def scores(self, query: str, candidates: Sequence[Candidate]) -> list[float]:
        """Raw logits in fp32, one a candidate, in order; a pair's logit depends on that pair alone.

        Raises:
            ModelError: a score is not finite, or a page can be read in no way; names model and page.
        """
        limit = self._network.config.question_words
        asked = self._reader.question(query, most=limit)
        logits = self._logits(asked, [self._reading(query, candidate) for candidate in candidates])
        return _finite(logits, candidates)

    def _reading(self, query: str, candidate: Candidate) -> Reading:
        text = candidate.text()
        about = self._reader.about(query, title=candidate.title(), opening=candidate.opening())
        written = self._reader.written(text, about=about)
        if len(words.split(text)) >= LEGIBLE:
            return written
        features = candidate.features()
        if features is None:
            features = self._look(candidate) if self._featurise or not text.strip() else None
        if features is None:
            return written
        dim = self._reader.speller.dim
        if features.rows.shape[1:] != (dim + 1,):
            raise ModelError(
                f"the built-in reranker reads rows of width {dim + 1}, not "
                f"{features.rows.shape} as page {candidate.page} has; use it with the built-in encoder, or "
                "choose another reranker"
            )
        return self._reader.seen(features, about=about)

    def _look(self, candidate: Candidate) -> PageFeatures:
        if self._featurise is None:
            raise ModelError(
                f"page {candidate.page} has neither text nor vectors of the built-in encoder; index with that "
                "encoder, or choose a reranker that reads images"
            )
        return self._featurise(candidate.image())

    def _logits(self, asked: Wording, readings: Sequence[Reading]) -> list[float]:
        # pages of like length share a batch, so that little is padded
        order = sorted(range(len(readings)), key=lambda place: len(readings[place].cells))
        batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]

        def score(places: list[int]) -> list[float]:
            pages = [readings[place] for place in places]
            pairs = beside([asked] * len(pages), pages, dim=self._reader.speller.dim)
            with torch.inference_mode(), quick():
                found: list[float] = self._network(pairs).tolist()
            return found

        logits = chain.from_iterable(self._crew.each(score, batches))
        found = dict(zip(chain.from_iterable(batches), logits, strict=True))
        return [found[place] for place in range(len(readings))]


def fingerprint(digest: str) -> Fingerprint:
    """The fingerprint of the built-in reranker with these weights."""
    return Fingerprint(model=BuiltinReranker.name, weights=digest, prompt="opening, then text, else sight")


def load(
    name: str = "builtin",
    *,
    settings: ModelSettings | None = None,  # noqa: ARG001  # as all adapters; this one has no choices
    featurise: Featurise | None = None,
    encoder: Path | None = None,
    tower: Path | None = None,
) -> BuiltinReranker:
    """Read the reranker that ships, or one that was trained here.

    Args:
        name: `builtin` or, for one that was trained here, `builtin:DIRECTORY`.
        settings: accepted as every adapter does; the built-in reranker has no choices.
        featurise: reads a picture with the built-in encoder, for pages that no index has seen.
        encoder: where the visual encoder is whose rows it reads; None takes the one that ships.
        tower: where the text tower is whose word pieces it reads; None takes the one that ships.

    Raises:
        ModelError: a file is missing or damaged; names the directory and the remedy.
    """
    _, _, folder = name.partition(":")
    shipped = Path(models.__file__).parent
    reader = read_reader(encoder or shipped / "encoder", tower or shipped / "text")
    network, digest = load_network(Path(folder) if folder else shipped / "reranker", reader.pieces.table)
    return BuiltinReranker(network, f"{digest}-{reader.digest}", reader, featurise=featurise)


def read_reader(encoder: Path, tower: Path) -> Reader:
    """Read the spelling of a visual encoder and the word pieces of a text tower.

    Raises:
        ModelError: a file is missing or damaged; names the directory and the remedy.
    """
    return Reader(Speller(read_words(encoder)), read_pieces(tower))


def _finite(scores: list[float], candidates: Sequence[Candidate]) -> list[float]:
    for score, candidate in zip(scores, candidates, strict=True):
        if not np.isfinite(score):
            raise ModelError(
                f"the built-in reranker gave {score} for page {candidate.page}; check its weights"
            )
    return scores
