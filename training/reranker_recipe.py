"""What a configuration of the reranker says."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from domain.errors import UsageError
from rerank.builtin.network import RerankConfig


@dataclass(frozen=True, slots=True)
class RerankRecipe:
    """What a configuration file may say; paths are relative to that file.

    Attributes:
        output: where the weights go.
        work: where composed pages, visual vectors and checkpoints are kept.
        text: directory with contexts/ and pairs/, set on pages and asked for.
        pdfs: directories of real PDFs.
        tower: the text tower's directory; empty takes the one that ships. Its word pieces are read, and its
            layers are the transformer's start where they are as wide.
        encoder: the visual encoder's directory; empty trains with a random table and without pictures.
        start: an earlier reranker's directory, whose weights are the start; empty starts at random.
        buckets, dim: of the random table of n-grams where there is no encoder.
        shape: the network.
        contexts: how many contexts are set on pages.
        pages_a_document: pages of each document set from contexts.
        pages: how many real pages are read at most.
        pictures: how many pages the visual encoder reads for the last stage.
        warm, steps, last: steps on the signals alone, on simulated reading, and on the encoder's own reading.
        questions, candidates: questions a step, and pages a question, the right one among them.
        easy: how likely a question whose page the first stage ranks first is drawn, against 1 for the others.
        rate, deep_rate: learning rates of the small parts and of the transformer.
        device: `auto` takes a GPU where there is one; `cpu` or `cuda` insist.
        documents: directory of documents that were written for training, as HTML; see `training.written_documents`.
        written: JSON lines of questions that somebody wrote about these and the PDFs: `text`, `doc` and `pages` from 0.
        written_share: how many of the questions drawn are of those.
        untitled: share of the documents that lose their title, as many PDFs have none.
        named: share of the questions that name their document by its title or words of its opening.
        held_out: share of documents kept for evaluation and, another as large, for calibration.
        save_every: steps between checkpoints.
        seed: makes the run repeatable.
    """

    output: Path
    work: Path
    text: Path
    shape: RerankConfig
    pdfs: tuple[Path, ...] = ()
    tower: Path | None = None
    encoder: Path | None = None
    start: Path | None = None
    buckets: int = 49152
    dim: int = 127
    contexts: int = 6000
    pages_a_document: int = 12
    pages: int = 3000
    pictures: int = 1200
    warm: int = 300
    steps: int = 600
    last: int = 200
    questions: int = 8
    candidates: int = 8
    easy: float = 0.25
    rate: float = 2e-3
    deep_rate: float = 1e-3
    device: str = "auto"
    documents: Path | None = None
    written: Path | None = None
    written_share: float = 0.4
    untitled: float = 0.5
    named: float = 0.4
    held_out: float = 0.08
    save_every: int = 50
    seed: int = 1

    @property
    def total(self) -> int:
        """Steps of all three stages."""
        return self.warm + self.steps + self.last


PATHS = ("output", "work", "text", "tower", "encoder", "start", "documents", "written")


def read_recipe(config: Path) -> RerankRecipe:
    """Read a configuration.

    Raises:
        UsageError: the file is missing, is not TOML, lacks something needed or names something unknown.
    """
    try:
        given = tomllib.loads(config.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{config} cannot be read as a configuration: {error}") from error
    unknown = set(given) - {field.name for field in fields(RerankRecipe)}
    missing = {"output", "work", "text"} - set(given)
    if unknown or missing:
        raise UsageError(
            f"{config} names {sorted(unknown)} unknown to a reranker and lacks {sorted(missing)}"
        )
    for name in PATHS:
        if name in given:
            given[name] = config.parent / given[name]
    given["pdfs"] = tuple(config.parent / path for path in given.get("pdfs", ()))
    given["shape"] = RerankConfig(**given.get("shape", {}))
    return RerankRecipe(**given)
