"""Every choice of a library: read once at an entry point, passed on as a value."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

import platformdirs
import tomli_w

from backbone.threads import cores
from domain.errors import UsageError
from domain.vocabulary import Vocabulary
from ingest.limits import Limits

FILE_NAME = "settings.toml"
PREFIX = "RECTO_"
SHARES = ("document_share", "blend", "min_probability", "fold", "relevance")
LEAST = {
    "candidates": 1,
    "dpi": 1,
    "max_pixels": 1,
    "max_pages": 1,
    "max_bytes": 1,
    "workers": 0,
    "batch_pages": 0,
}
Arm = Literal["visual", "lexical", "text"]
ARMS: tuple[str, ...] = get_args(Arm)

FITTED_WEIGHTS = {"visual": 0.5, "lexical": 1.0, "text": 0.75}
"""How much each arm counts until `recto tune` says otherwise; docs/decisions/0063 says whence it comes."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Choices of one library, kept in its `settings.toml`.

    Attributes:
        encoder: the visual bi-encoder, a name of `recto models`.
        reranker: the cross-encoder, or `none`.
        arms: which first-stage arms answer: visual, lexical (words), text (meaning of the text layer).
        arm_weights: how much each arm counts in the fusion; 1 where absent.
        fusion: `scores` joins arms by their normalised scores, `ranks` by reciprocal rank.
        document_share: how much of what a document shows as a whole its pages gain, from 0 to 1; 0 judges each
            page by itself.
        named_pages: whether pages that a question names by their number ("on page 14") are lifted.
        outlines: whether pages to which a document's own table of contents leads are lifted where the question says the
            title, and that table itself lowered.
        editions: whether, of documents whose names differ in year or quarter alone, the one that a question names
            comes before the others.
        tidy_questions: whether what a question says of the answer's form ("round to two decimals") is left out,
            a word that no page holds is also read as the one spelled most like it, and what pages say in place of
            the question's words is searched for too ("net income" for "ROA").
        vocabulary: phrases that are searched for too, by the phrase of a question that asks for them; goes before
            the one that ships, of which an empty list drops a line.
        candidates: how many pages each arm hands on.
        rerank_depth: how many pages `--rerank auto` reorders, or fewer where a budget ends before.
        blend: the first stage's share in the reranked score, in [0, 1]; 0 means the reranker alone.
        final_reranker: a larger cross-encoder that reads the top few pages once more, or `none`.
        final_depth: how many pages the final reranker reads.
        skip_margin: do not rerank where the first stage is this sure of its top; 0 always reranks.
        min_probability: leave out pages less likely to answer, where scores are calibrated.
        fold: leave out pages whose vectors are more alike than this to a better one; 0 keeps all.
        relevance: weight of relevance against variety among the top pages; 1 means relevance alone.
        boosts: by `field:value` of a document's metadata, what is added to the score of its pages, where 1
            lifts the last page of a ranking level with the first; may be negative.
        per_document: at most this many pages of one document in an answer; 0 means any number.
        dpi: dots an inch at which pages are rendered.
        max_pixels: the largest page picture; larger pages are rendered more coarsely.
        max_pages: a document with more pages is refused.
        max_bytes: a larger file is refused.
        page_timeout_s: seconds after which the reading of one page is given up.
        workers: child processes that read PDFs, and as many of OCR; 0: one a core, from 2 to 16.
        batch_pages: pages embedded, stored and committed together; 0: 8, and 64 where a GPU embeds them.
        device: `auto`, `cpu`, `cuda` or `cuda:N`.
        dtype: `auto`, `float32`, `bfloat16` or `float16`.
        stored: in which numbers new page vectors are kept, `int8` (a byte a dimension) or `float16` (twice the
            disk, no rounding that matters); old ones keep theirs until pages are embedded anew.
        gpu_cache_mib: memory on the GPU, where there is one, for vectors of pages that are asked for often; 0
            compares vectors on the processor.
        max_visual_tokens: visual tokens a page for models that take a budget; 0 means the model's own.
        encoder_options: further choices for the encoder: fields of `domain.model.ModelSettings` by name.
        reranker_options: the same for the reranker, such as `true_token`, `template` or `reads`.
        trust_remote_code: whether a checkpoint may run code of its own.
        offline: whether models may only come from files on this machine.
        engine_key: the key of a remote engine; never written to the file.
        ocr: whether tesseract, where it is installed, reads scans, and words in pictures on other pages, for the
            lexical and text arms and for the reranker, after they can be found by sight; never for sight alone.
    """

    encoder: str = "builtin"
    reranker: str = "builtin"
    arms: tuple[str, ...] = ARMS
    arm_weights: Mapping[str, float] = field(default_factory=FITTED_WEIGHTS.copy)
    fusion: Literal["ranks", "scores"] = "scores"
    document_share: float = 0.5
    named_pages: bool = True
    outlines: bool = True
    editions: bool = True
    tidy_questions: bool = True
    vocabulary: Vocabulary = field(default_factory=dict)
    candidates: int = 100
    rerank_depth: int = 20
    blend: float = 0.5
    final_reranker: str = "none"
    final_depth: int = 5
    skip_margin: float = 0.0
    min_probability: float = 0.0
    fold: float = 0.0
    relevance: float = 1.0
    boosts: Mapping[str, float] = field(default_factory=dict)
    per_document: int = 0
    dpi: int = 150
    max_pixels: int = 2_200_000
    max_pages: int = 10_000
    max_bytes: int = 2_000_000_000
    page_timeout_s: float = 20.0
    workers: int = 0
    batch_pages: int = 0
    device: str = "auto"
    dtype: str = "auto"
    stored: Literal["int8", "float16"] = "int8"
    gpu_cache_mib: int = 2048
    max_visual_tokens: int = 0
    encoder_options: Mapping[str, Any] = field(default_factory=dict)
    reranker_options: Mapping[str, Any] = field(default_factory=dict)
    trust_remote_code: bool = False
    offline: bool = False
    engine_key: str = ""
    ocr: bool = True

    def __post_init__(self) -> None:
        """Refuse what could not work, naming the setting."""
        unknown = [arm for arm in (*self.arms, *self.arm_weights) if arm not in ARMS]
        if unknown or not self.arms:
            said = f"there is no arm {unknown[0]!r}" if unknown else "at least one arm must answer"
            raise UsageError(f"{said}; choose among {', '.join(ARMS)}")
        if self.fusion not in {"ranks", "scores"}:
            raise UsageError(f"fusion is ranks or scores, not {self.fusion!r}")
        if self.stored not in {"int8", "float16"}:
            raise UsageError(f"stored is int8 or float16, not {self.stored!r}")
        _check_vocabulary(self.vocabulary)
        for name in SHARES:
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"{name} is a share from 0 to 1, not {getattr(self, name)}")
        for name, least in LEAST.items():
            if getattr(self, name) < least:
                raise UsageError(f"{name} must be at least {least}, not {getattr(self, name)}")

    @classmethod
    def load(cls, directory: Path | None, environment: Mapping[str, str] | None = None) -> "Settings":
        """Read a library's settings; the defaults where it has none, or where there is no library.

        The environment goes before the file: `RECTO_` and a setting's name in capitals, a list with commas
        (`RECTO_ARMS=visual,lexical`), and `HF_HUB_OFFLINE`.

        Raises:
            UsageError: the file is not TOML, or a setting or its value does not exist.
        """
        path = directory / FILE_NAME if directory is not None else None
        try:
            found = tomllib.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}
        except tomllib.TOMLDecodeError as error:
            raise UsageError(f"{path} is not valid TOML: {error}") from error
        return cls().changed(found | _from_environment(os.environ if environment is None else environment))

    def save(self, directory: Path) -> None:
        """Write what differs from the defaults beside the library's data, whole or not at all."""
        directory.mkdir(parents=True, exist_ok=True)
        partial = directory / f"{FILE_NAME}.partial"
        partial.write_text(tomli_w.dumps(_plain(self)), encoding="utf-8")
        partial.replace(directory / FILE_NAME)

    @property
    def readers(self) -> int:
        """Child processes that read PDFs, and programs of OCR that run at a time."""
        return self.workers or min(16, max(2, cores()))

    @property
    def limits(self) -> Limits:
        """What a renderer may take on."""
        return Limits(
            dpi=self.dpi,
            max_pixels=self.max_pixels,
            max_pages=self.max_pages,
            max_bytes=self.max_bytes,
            page_timeout_s=self.page_timeout_s,
        )

    def changed(self, values: Mapping[str, Any]) -> "Settings":
        """These settings with some replaced, values checked.

        Raises:
            UsageError: a name is unknown or a value has the wrong type.
        """
        known = {f.name: getattr(Settings(), f.name) for f in fields(self)}
        for name, value in values.items():
            if name not in known:
                raise UsageError(f"there is no setting {name!r}; there are: {', '.join(sorted(known))}")
            if not _fits(value, known[name]):
                kind = type(known[name]).__name__
                raise UsageError(f"setting {name} takes a {kind}, not {value!r}")
        taken: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
        return replace(self, **taken)


def default_directory() -> Path:
    """Where a library lives when nobody says: the user's data directory."""
    return Path(platformdirs.user_data_dir("recto", appauthor=False)) / "library"


def _check_vocabulary(vocabulary: Vocabulary) -> None:
    for phrase, others in vocabulary.items():
        if not isinstance(others, list | tuple) or not all(isinstance(other, str) for other in others):
            raise UsageError(
                f'vocabulary takes lists, as in "ROA" = ["net income"], not {others!r} for {phrase!r}'
            )


def _plain(settings: Settings) -> dict[str, Any]:
    values = asdict(settings)
    values["arms"] = list(settings.arms)
    values["arm_weights"] = dict(settings.arm_weights)
    values["boosts"] = dict(settings.boosts)
    plain = asdict(Settings())
    plain["arms"] = list(Settings().arms)
    return {
        name: value
        for name, value in values.items()
        if value != plain[name] and name not in {"engine_key", "offline"}
    }


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if isinstance(default, float):
        return isinstance(value, int | float)
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if isinstance(default, dict):
        return isinstance(value, Mapping)
    return isinstance(value, type(default))


def _from_environment(environment: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in fields(Settings):
        text = environment.get(f"{PREFIX}{item.name.upper()}")
        if text is not None:
            found[item.name] = _parsed(item.name, text, getattr(Settings(), item.name))
    if environment.get("HF_HUB_OFFLINE", "0").lower() not in {"", "0", "false", "no"}:
        found["offline"] = True
    return found


def _parsed(name: str, text: str, default: object) -> object:
    try:
        if isinstance(default, bool):
            return {"1": True, "true": True, "0": False, "false": False}[text.lower()]
        if isinstance(default, int | float):
            return type(default)(text)
    except (KeyError, ValueError) as error:
        kind = type(default).__name__
        raise UsageError(f"{PREFIX}{name.upper()} takes a {kind}, not {text!r}") from error
    if isinstance(default, tuple):
        return [part.strip() for part in text.split(",") if part.strip()]
    if isinstance(default, Mapping):
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        try:
            return {key.strip(): float(value) for key, _, value in pairs}
        except ValueError as error:
            said = f"{PREFIX}{name.upper()} takes names and numbers, as in a=1,b=0.5, not {text!r}"
            raise UsageError(f"{said}; write anything else into {FILE_NAME}") from error
    return text
