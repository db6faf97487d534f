"""What a configuration of the text tower says."""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path

from domain.errors import UsageError
from retrieve.text_tower import TextConfig


@dataclass(frozen=True, slots=True)
class TextRecipe:
    """What a configuration file may say; paths are relative to that file.

    Attributes:
        text: directory with contexts/ and pairs/.
        pdfs: directories of PDFs, for their text layers.
        output: where the weights go.
        work: where checkpoints and the teacher's vectors are kept.
        tokenizer: a tokenizer.json; empty takes the teacher's.
        teacher_layers: which of the teacher's layers the student starts from; empty trains without a teacher.
        languages: which languages are read.
        shape: the network.
        steps, questions, others: steps (0 writes the start as it is), questions a step, and chunks a step of the
            document that half of the questions are about.
        rate: the highest learning rate; it rises for a twentieth of the steps and falls to nothing.
        temperature: divides similarities before the softmax.
        titled: share of passages whose chunks carry their title.
        chunks_a_passage, chunks_a_page: at most so many chunks of each, chosen by chance.
        save_every: steps between checkpoints.
        seed: makes the run repeatable.
    """

    text: Path
    output: Path
    work: Path
    shape: TextConfig
    pdfs: tuple[Path, ...] = ()
    tokenizer: Path | None = None
    teacher_layers: tuple[int, ...] = ()
    languages: frozenset[str] = frozenset({"en"})
    steps: int = 1000
    questions: int = 24
    others: int = 24
    rate: float = 3e-4
    temperature: float = 0.05
    titled: float = 0.5
    chunks_a_passage: int = 2
    chunks_a_page: int = 4
    save_every: int = 100
    seed: int = 1


def read_recipe(config: Path) -> TextRecipe:
    """Read a configuration.

    Raises:
        UsageError: the file is missing, is not TOML, or names something unknown.
    """
    try:
        given = tomllib.loads(config.read_text())
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{config} cannot be read as a configuration: {error}") from error
    unknown = set(given) - {field.name for field in fields(TextRecipe)}
    if unknown:
        raise UsageError(f"{config} names {sorted(unknown)}, which a text tower does not have")
    root = config.parent
    for name in ("text", "output", "work", "tokenizer"):
        if name in given:
            given[name] = root / given[name]
    given["pdfs"] = tuple(root / path for path in given.get("pdfs", ()))
    given["languages"] = frozenset(given.get("languages", ("en",)))
    given["teacher_layers"] = tuple(given.get("teacher_layers", ()))
    given["shape"] = TextConfig(**given.get("shape", {}))
    return TextRecipe(**given)
