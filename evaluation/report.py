"""What an evaluation found: one frozen value, kept as `report.json`, without questions or page text."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import TypeAdapter, ValidationError

from domain.errors import UsageError
from evaluation.measures import Percentiles
from evaluation.statistics import Difference, Figure

REPORT: Final = "report.json"
MAIN_MEASURES: Final = ("nDCG@5", "nDCG@10", "recall@100")


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything that the figures depend on.

    Attributes:
        commit: of recto's own source, `-dirty` appended where it was changed; empty where there is no git.
        encoder: name and digest of the fingerprint; `reranker` likewise, None where no reranking was done.
        data: name of the benchmark; `revision` is a hash of its files.
        seconds: of the whole evaluation; `index_seconds` of reading and embedding, 0 where all was cached.
        settings: the library's settings, as its file holds them; `options` those of the searches.
    """

    commit: str
    version: str
    encoder: Mapping[str, Any]
    reranker: Mapping[str, Any] | None
    data: str
    revision: str
    hardware: Mapping[str, str]
    created: str
    seconds: float
    index_seconds: float
    settings: Mapping[str, Any]
    options: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StageFigures:
    """One stage: each measure's mean and interval, the time of a query, and recall at depths 1, 2, ..."""

    name: str
    figures: Mapping[str, Figure]
    latency_ms: Percentiles | None
    recall_by_depth: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Lift:
    """What going from one stage to the next changed, for one measure."""

    before: str
    after: str
    measure: str
    change: Difference


@dataclass(frozen=True, slots=True)
class Slice:
    """Figures over the questions that share a value: stage to measure to figure."""

    field: str
    value: str
    queries: int
    figures: Mapping[str, Mapping[str, Figure]]


@dataclass(frozen=True, slots=True)
class Grounding:
    """How well the map of a query over a gold page finds the gold boxes.

    Attributes:
        pages: pages with gold boxes that were scored; `left_out`: those whose model gives no map.
        pointing: share of pages whose hottest cell has its centre in a gold box.
        overlap: mean intersection over union of the hottest cells, as many as cover the gold area, with it.
        chance: pointing accuracy of a point drawn anywhere on the page: the mean gold area.
    """

    pages: int
    left_out: int
    pointing: Figure
    overlap: Figure
    chance: float


@dataclass(frozen=True, slots=True)
class Costs:
    """What the index cost. `pages_per_second` is None where nothing had to be embedded."""

    documents: int
    pages: int
    pages_per_second: float | None
    bytes_per_page: float


@dataclass(frozen=True, slots=True)
class Report:
    """The whole finding.

    Attributes:
        stages: from the first arm to the whole pipeline, which is last.
        queries: the ids, in the order of the values in `scores` (stage to measure to one value a query).
        left_out: what `--allow-missing` left out, by kind.
    """

    title: str
    provenance: Provenance
    stages: tuple[StageFigures, ...]
    lifts: tuple[Lift, ...]
    slices: tuple[Slice, ...]
    costs: Costs
    queries: tuple[str, ...]
    scores: Mapping[str, Mapping[str, tuple[float, ...]]]
    grounding: Grounding | None = None
    left_out: Mapping[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    schema: Literal["recto-report/1"] = "recto-report/1"

    @property
    def pipeline(self) -> StageFigures:
        """The last stage: what is served."""
        return self.stages[-1]


_ADAPTER: Final = TypeAdapter(Report)


def dump(report: Report) -> str:
    """Write a report as JSON, floats in full."""
    return _ADAPTER.dump_json(report, indent=1).decode() + "\n"


def save(report: Report, path: Path) -> None:
    """Write `report.json` under a temporary name, then rename."""
    write_text(path, dump(report))


def load(path: Path) -> Report:
    """Read a report from its file or its folder.

    Raises:
        UsageError: there is none, or it is not a report of this version; names the file and what is wrong.
    """
    file = path / REPORT if path.is_dir() else path
    try:
        return _ADAPTER.validate_json(file.read_bytes())
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}; give a report.json or its folder"
        ) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "the file"
        raise UsageError(f"{file} is not a report of this version: {where}: {first['msg']}") from error


def write_text(path: Path, text: str) -> None:
    """Write a file whole or not at all; its folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
