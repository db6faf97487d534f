"""Where on a page of ViDoRe v3 the answer stands: boxes of the original data, which mteb's copies leave out.

The original data sets (`vidore/vidore_v3_<domain>`) hold `queries` (query_id, query) and `qrels` (query_id,
corpus_id, bounding_boxes: a list of x1, y1, x2, y2 in pixels of the page, one a box and annotator). Questions are
found in mteb's copy by their text, pages by their number; where the pairs then are not the ones that mteb judges
relevant, the boxes are left aside rather than scored on the wrong pages.
"""

import hashlib
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import datasets
import huggingface_hub
import pyarrow.parquet as pq
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from PIL import Image

from domain.errors import UsageError
from domain.page import Box
from evaluation.grounding import Aim, fraction
from evaluation.images import ImageCorpus
from evaluation.questions import GoldBox
from evaluation.vidore_task import corpus_of, data_of

_COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    "queries": ("query_id", "query"),
    "qrels": ("query_id", "corpus_id", "bounding_boxes"),
}
_AGREE: Final = 0.9
"""The share of boxed pairs that mteb must judge relevant; less means that pages are numbered differently."""

Corners = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class Boxes:
    """Boxes by question and page number, or why there are none.

    Attributes:
        found: (question's text, page's number) to boxes in pixels: left, top, right, bottom.
        revision: a hash of the files; empty where there are none.
        reason: why there are none; empty where there are some, or where the benchmark has none.
    """

    found: Mapping[tuple[str, int], tuple[Corners, ...]] = field(default_factory=dict)
    revision: str = ""
    reason: str = ""


def boxes_of(task: str, benchmark: str, data: Path | None) -> Boxes:
    """The boxes of a task's original data set: in a folder beside the task's own, else from the hub.

    Args:
        task: mteb's name, such as `Vidore3HrRetrieval.v2`.
        benchmark: `v1` and `v2` have no boxes.
        data: the folder of `--data`, in which nothing is fetched; None asks the hub.

    Raises:
        UsageError: a local file lacks a column; names file and column.
    """
    if not benchmark.startswith("v3"):
        return Boxes()
    name = original(task)
    if data is not None:
        place = data / name
        return read(place) if place.is_dir() else Boxes(reason=f"there is no {place} with the boxes")
    try:
        patterns = [f"{folder}/*.parquet" for folder in _COLUMNS]
        fetched = huggingface_hub.snapshot_download(
            f"vidore/{name}", repo_type="dataset", allow_patterns=patterns
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        return Boxes(reason=f"vidore/{name} could not be fetched ({type(error).__name__})")
    return read(Path(fetched))


def original(task: str) -> str:
    """The name of the data set that a task of mteb was made from, such as `vidore_v3_finance_en`."""
    words = re.findall(r"[A-Z][a-z]+", corpus_of(task).removeprefix("Vidore3"))
    return "_".join(["vidore", "v3", *(word.lower() for word in words)])


def read(place: Path) -> Boxes:
    """Read `queries` and `qrels` of an original data set.

    Raises:
        UsageError: a folder holds no parquet files, or a file lacks a column.
    """
    texts = {row["query_id"]: str(row["query"]) for row in _rows(place, "queries")}
    found: dict[tuple[str, int], list[Corners]] = {}
    for row in _rows(place, "qrels"):
        for box in row["bounding_boxes"] or ():
            if row["query_id"] in texts:
                corners = (int(box["x1"]), int(box["y1"]), int(box["x2"]), int(box["y2"]))
                found.setdefault((texts[row["query_id"]], int(row["corpus_id"])), []).append(corners)
    return Boxes({pair: tuple(boxes) for pair, boxes in found.items()}, _revision(place))


def aims(task: Any, corpus: ImageCorpus, boxes: Boxes) -> tuple[list[Aim], str]:
    """The questions' relevant pages with their boxes, or why they cannot be used.

    Args:
        task: loaded, in mteb's second format.
        corpus: its pictures in the library.
        boxes: of its original data.
    """
    if not boxes.found:
        return [], boxes.reason
    made: list[Aim] = []
    relevant = boxed = 0
    for data in data_of(task).values():
        sizes = _Sizes(data["corpus"])
        for query, text in zip(data["queries"]["id"], data["queries"]["text"], strict=True):
            judged = data["relevant_docs"].get(query, {})
            for page, corners in _boxed(text, sizes.numbers, boxes):
                boxed += 1
                if judged.get(page, 0) > 0:
                    relevant += 1
                    if page in corpus.documents:
                        made.append(Aim(text, corpus.page(page), _fractions(corners, sizes.of(page))))
    if relevant < _AGREE * boxed or not boxed:
        return (
            [],
            f"{relevant} of {boxed} pairs with boxes are judged relevant; the pages are numbered differently",
        )
    return made, ""


def _boxed(text: str, numbers: Mapping[int, str], boxes: Boxes) -> Iterator[tuple[str, tuple[Corners, ...]]]:
    for number, page in numbers.items():
        if (text, number) in boxes.found:
            yield page, boxes.found[text, number]


def _fractions(corners: Sequence[Corners], size: tuple[int, int]) -> tuple[Box, ...]:
    width, height = size
    return tuple(fraction(GoldBox(0, width, height, *corner)) for corner in corners)


class _Sizes:
    """The page numbers of a corpus, and the size of a page in pixels, read from its header when asked for."""

    def __init__(self, corpus: Any) -> None:
        self._raw = corpus.select_columns(["id", "image"]).cast_column("image", datasets.Image(decode=False))
        self._place = {str(name): place for place, name in enumerate(corpus["id"])}
        self.numbers = {
            int(digits[0]): name for name in self._place if (digits := re.search(r"\d+$", name)) is not None
        }

    def of(self, page: str) -> tuple[int, int]:
        image = self._raw[self._place[page]]["image"]
        with Image.open(
            io.BytesIO(image["bytes"]) if image["bytes"] is not None else image["path"]
        ) as opened:
            return opened.size


def _rows(place: Path, folder: str) -> Iterator[Mapping[str, Any]]:
    files = sorted((place / folder).glob("*.parquet"))
    if not files:
        raise UsageError(f"{place / folder} holds no parquet files; copy the original data set there")
    for file in files:
        if missing := [name for name in _COLUMNS[folder] if name not in pq.read_schema(file).names]:
            raise UsageError(
                f"{file}: no column {', '.join(missing)}; is this the original data of version 3?"
            )
        yield from pq.read_table(file, columns=list(_COLUMNS[folder])).to_pylist()


def _revision(place: Path) -> str:
    whole = hashlib.sha256()
    for folder in _COLUMNS:
        for file in sorted((place / folder).glob("*.parquet")):
            whole.update(file.read_bytes())
    return whole.hexdigest()[:16]
