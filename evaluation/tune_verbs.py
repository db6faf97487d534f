"""What `recto tune` and `recto calibrate` do, without a terminal."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from domain.errors import UsageError
from domain.page import Query
from evaluation import calibrate as calibrating
from evaluation import tune_report
from evaluation.calibrate import Calibrated, calibrate
from evaluation.folder import Benchmark, Files, read_files, read_folder, resolve
from evaluation.placing import Placed, accepted, place, stored
from evaluation.recording import NO_RERANKER, Asked, Recording, arms_alone, joined, plain, read, record
from evaluation.report import write_text
from evaluation.tune import Tuning, settings_of, tune
from evaluation.verbs import cache_directory
from library.library import Library
from library.results import Progress
from library.searching import CALIBRATION
from library.settings import Settings, default_directory
from rerank.calibration import Kind

READ_DEPTH = 200
"""Pages an arm returns, and pages of their equal fusion that a reranker reads, while recording."""


@dataclass(frozen=True, slots=True)
class Labels:
    """Labelled questions, and how they are asked.

    Attributes:
        folders: of one's own questions; each is indexed in a library of its own in the cache.
        collection: instead, a collection of `library`, with `queries` and `qrels`.
        library: the library whose settings are tuned; its encoder and pages' resolution are used throughout.
        bound: each question within its own document only.
        read_depth: pages that a reranker reads while recording.
    """

    folders: tuple[Path, ...] = ()
    collection: str | None = None
    queries: Path | None = None
    qrels: Path | None = None
    library: Path | None = None
    bound: bool = False
    allow_missing: bool = False
    read_depth: int = READ_DEPTH

    @property
    def target(self) -> Path:
        """The library whose settings are tuned."""
        return self.library or default_directory()


@dataclass(frozen=True, slots=True)
class Watch:
    """Called after each batch of pages, and with an arm's or reranker's name after each question."""

    embedding: Callable[[Progress], None] = lambda _: None
    asking: Callable[[str], None] = lambda _: None


def tuned(
    labels: Labels,
    settings: Settings,
    *,
    rerankers: Sequence[str],
    budget_ms: float | None = None,
    watch: Watch | None = None,
) -> Tuning:
    """Record the arms and rerankers on the labelled questions, and sweep over them.

    Raises:
        UsageError: something is wrong with the files; names file and line.
        ModelError: a model cannot be loaded, or returned nonsense.
    """
    recording = recorded(labels, settings, rerankers=rerankers, watch=watch or Watch())
    return tune(recording, settings, budget_ms=budget_ms)


def calibrated(
    labels: Labels, settings: Settings, *, kind: Kind | None = None, watch: Watch | None = None
) -> Calibrated:
    """Record the settings' reranker on the labelled questions, and calibrate it.

    Raises:
        UsageError: there is no reranker, or there are too few labels; says how many are needed.
        ModelError: a model cannot be loaded, or returned nonsense.
    """
    if settings.reranker == NO_RERANKER:
        raise UsageError("the settings name no reranker; give the one to calibrate with --reranker")
    recording = recorded(labels, settings, rerankers=[settings.reranker], watch=watch or Watch())
    return calibrate(recording, settings, depth=max(settings.rerank_depth, 1), kind=kind)


def recorded(labels: Labels, settings: Settings, *, rerankers: Sequence[str], watch: Watch) -> Recording:
    """Ask every arm and every reranker all the questions, folder by folder."""
    if labels.collection is not None and labels.queries is not None and not labels.folders:
        files = read_files(labels.queries, labels.qrels)
        return _recorded(labels, files, labels.target, settings=settings, rerankers=rerankers, watch=watch)
    if not labels.folders or labels.collection is not None or labels.queries is not None:
        raise UsageError("give either folders of one's own questions, or both --collection and --queries")
    parts = {}
    for folder in labels.folders:
        files = read_folder(folder)
        directory = cache_directory(files, settings)
        parts[str(folder)] = _recorded(
            labels, files, directory, settings=settings, rerankers=rerankers, watch=watch
        )
    return joined(parts)


def apply_tuning(labels: Labels, tuning: Tuning) -> Path:
    """Write the recommendation into the library's settings; says where."""
    settings_of(tuning.recommended, Settings.load(labels.target, {})).save(labels.target)
    return labels.target


def apply_calibration(labels: Labels, found: Calibrated) -> Path:
    """Keep the calibration in the library; says where."""
    path = labels.target / CALIBRATION
    write_text(path, found.calibration.to_json())
    return path


def save_tuning(tuning: Tuning, directory: Path) -> None:
    """Write report and plots."""
    tune_report.save(tuning, directory)


def save_calibration(found: Calibrated, directory: Path) -> None:
    """Write report and diagram."""
    calibrating.save(found, directory)


def _recorded(
    labels: Labels,
    files: Files,
    directory: Path,
    *,
    settings: Settings,
    rerankers: Sequence[str],
    watch: Watch,
) -> Recording:
    deep = max(labels.read_depth, settings.candidates)
    alone = replace(arms_alone(settings, deep), reranker=NO_RERANKER)
    with Library.open(directory, alone) as library:
        asked = _asked(library, labels, files, watch)
        recording = record(library, asked, depth=deep, tick=watch.asking)
    settings = plain(settings, labels.read_depth)
    for name in rerankers:
        with Library.open(directory, replace(settings, reranker=name)) as library:
            recording = read(library, recording, depth=labels.read_depth, tick=watch.asking)
    return recording


def _asked(library: Library, labels: Labels, files: Files, watch: Watch) -> Asked:
    if labels.collection is not None:
        placed = stored(library, labels.collection)
        pages = placed.pages
    else:
        resolve(files, dict.fromkeys(files.pdfs), bound=labels.bound, allow_missing=labels.allow_missing)
        job_id, pages = accepted(library, files)
        placed = place(library, files, job_id, progress=watch.embedding)
    benchmark = resolve(files, pages, bound=labels.bound, allow_missing=labels.allow_missing)
    return _questions(benchmark, placed, library, bound=labels.bound)


def _questions(benchmark: Benchmark, placed: Placed, library: Library, *, bound: bool) -> Asked:
    corpus, queries, groups = placed.corpus, [], []
    qrels = {
        query: {corpus.page(page): score for page, score in judged.items()}
        for query, judged in benchmark.qrels.items()
    }
    for question in benchmark.questions:
        own = corpus.documents.get(question.doc) if question.doc else None
        scope = frozenset({own}) if bound and own else corpus.scope
        queries.append(Query(question.id, question.text, scope))
        relevant = min(page for page, score in qrels[question.id].items() if score > 0)
        groups.append(own or relevant.rpartition("/")[0])
    found = [corpus.documents[name] for name in placed.pages if name in corpus.documents]
    extents = {doc: library.document(doc).extent for doc in found}
    meant = {query.id: library.meant(query) for query in queries}
    return Asked(tuple(queries), qrels, tuple(groups), len(placed.ready), extents, meant)
