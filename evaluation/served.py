"""The pipeline that recto serves, as one search model of mteb: `index` takes the corpus in, `search` asks."""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import datasets
from mteb.models import ModelMeta

from domain.errors import UsageError
from domain.page import Query
from evaluation import provenance
from evaluation.images import ImageCorpus, Picture, place_images
from evaluation.rank import Configuration, Ranking, rank
from evaluation.runstore import RunStore
from library.library import Library
from library.options import RerankDepth
from library.results import Progress


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told while it works: batches of pages, and each query by its stage."""

    embedding: Callable[[Progress], None] = lambda _: None
    asking: Callable[[str], None] = lambda _: None


class Served:
    """One stage of the served pipeline, in the shape of mteb's search models.

    A corpus is taken in when it is first searched, and only what the library does not hold is embedded. A
    run that is in the store is not made again.
    """

    def __init__(
        self, library: Library, configuration: Configuration, *, name: str, store: RunStore, watch: Watch
    ) -> None:
        """Ask `library` as `configuration` says; the model's name is `name`."""
        self.library, self.configuration, self.name = library, configuration, name
        self.store, self.watch = store, watch
        self.rankings: dict[str, Ranking] = {}
        self._corpus: Any = None
        self._placed: ImageCorpus | None = None

    @property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb writes beside the results; the revision changes with everything that changes a figure."""
        return ModelMeta(
            loader=None,
            name=self.name,
            revision=revision(self.library, self.configuration),
            release_date=None,
            languages=None,
            n_parameters=None,
            memory_usage_mb=None,
            max_tokens=None,
            embed_dim=self.library.encoder.dim,
            license="https://www.gnu.org/licenses/agpl-3.0.html",
            open_weights=True,
            public_training_code=None,
            public_training_data=None,
            framework=["PyTorch"],
            similarity_fn_name=None,
            use_instructions=False,
            training_datasets=None,
            modalities=["text", "image"],
        )

    def index(self, corpus: Any, **_: Any) -> None:
        """Take a corpus with `id` and `image` columns; it is embedded when it is searched."""
        self._corpus, self._placed = corpus, None

    def search(
        self, queries: Any, *, task_metadata: Any, hf_subset: str, top_ranked: Any = None, **_: Any
    ) -> dict[str, dict[str, float]]:
        """Rank pages for each query, or reorder the candidates in `top_ranked`.

        Args:
            queries: with `id` and `text` columns.
            task_metadata: names the task.
            hf_subset: the language, or `default`.
            top_ranked: candidates a query, from reranking tasks.

        Raises:
            UsageError: nothing was indexed before.
        """
        if self._corpus is None:
            raise UsageError("search was called before index; mteb calls both")
        ids = [str(query) for query in queries["id"]]
        task = task_metadata.name
        known = self.store.load(
            task, hf_subset, self.configuration.name, queries=ids, pages=self._corpus["id"]
        )
        ranking = known or self._ranked(dict(zip(ids, queries["text"], strict=True)), top_ranked)
        if known is None:
            self.store.save(task, hf_subset, ranking)
        self.rankings[hf_subset] = ranking
        return {query: dict(pages) for query, pages in ranking.run.items()}

    def placed(self) -> ImageCorpus:
        """The corpus that was indexed last, in the library."""
        if self._placed is None:
            self._placed = place_images(self.library, pictures(self._corpus), progress=self.watch.embedding)
        return self._placed

    def _ranked(self, texts: Mapping[str, str], candidates: Mapping[str, list[str]] | None) -> Ranking:
        corpus = self.placed()
        everything = frozenset(document.id for document in self.library.documents())
        scope = None if everything == corpus.scope else corpus.scope
        given = candidates or {}
        queries = [
            Query(name, text, _documents(corpus, given[name]) if name in given else scope)
            for name, text in texts.items()
        ]
        ranking = rank(
            self.library, queries, corpus, configuration=self._to_depth(given), tick=self.watch.asking
        )
        return replace(ranking, run={q: _among(run, given.get(q)) for q, run in ranking.run.items()})

    def _to_depth(self, candidates: Mapping[str, list[str]]) -> Configuration:
        """Given candidates, all of them are read again, whatever the depth would be otherwise."""
        options = self.configuration.options
        longest = max((len(pages) for pages in candidates.values()), default=0)
        if not longest:
            return self.configuration
        depth: RerankDepth = "off" if options.rerank in {"off", 0} else min(longest, 1000)
        changed = replace(options, k=min(max(longest, options.k), 1000), rerank=depth)
        return Configuration(self.configuration.name, changed)


def _documents(corpus: ImageCorpus, candidates: list[str]) -> frozenset[str]:
    return frozenset(corpus.documents[name] for name in candidates if name in corpus.documents)


def _among(run: Mapping[str, float], candidates: list[str] | None) -> Mapping[str, float]:
    """Leave out the other names of pictures that stand twice in a corpus."""
    if candidates is None:
        return run
    wanted = set(candidates)
    return {name: score for name, score in run.items() if name in wanted}


def revision(library: Library, configuration: Configuration) -> str:
    """Twelve hex digits of everything that changes a figure: models, settings, options, version."""
    reranker = library.reranker if configuration.options.rerank not in {"off", 0} else None
    parts = {
        "encoder": library.encoder.fingerprint.digest,
        "reranker": reranker.fingerprint.digest if reranker else None,
        "settings": {k: v for k, v in asdict(library.settings).items() if k not in {"workers", "device"}},
        "options": asdict(configuration.options),
        "version": provenance.version(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def pictures(corpus: Any) -> Iterator[Picture]:
    """Read a dataset with `id` and `image` columns row by row, the images left encoded.

    Raises:
        UsageError: a row holds no image.
    """
    raw = corpus.select_columns(["id", "image"]).cast_column("image", datasets.Image(decode=False))
    for row in raw:
        data, path = row["image"]["bytes"], row["image"]["path"]
        if data is None and (path is None or not Path(path).is_file()):
            raise UsageError(f"corpus id {row['id']!r} holds no image; the column `image` must hold pictures")
        yield Picture(row["id"], data if data is not None else Path(path).read_bytes())
