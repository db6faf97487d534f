"""Finds a checkpoint, and refuses the ones that would load wrongly before anything is loaded."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
from huggingface_hub.errors import (
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
)
from safetensors import SafetensorError, safe_open
from transformers import CONFIG_MAPPING

from domain.errors import ModelError
from domain.families import FAMILIES
from domain.model import ModelSettings
from domain.names import near

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
"""How the hub names a repository: ORG/NAME."""
_UNUSED = ("*.bin", "*.pt", "*.pth", "*.onnx", "*.gguf", "*.msgpack", "*.h5", "onnx/*", "openvino/*")
_COLPALI_HEAD = "custom_text_proj"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on this machine.

    Attributes:
        name: what the user wrote.
        directory: where its files are.
        revision: its commit, empty for a local directory without one.
        config: its `config.json`.
        modules: the entries of its `modules.json`, empty where it has none.
        weights: a hash of its weight files.
    """

    name: str
    directory: Path
    revision: str
    config: Mapping[str, Any]
    modules: tuple[Mapping[str, Any], ...]
    weights: str

    @property
    def family(self) -> str:
        """The architecture's name in transformers, such as `qwen2_vl`."""
        return str(self.config.get("model_type", ""))

    @property
    def identity(self) -> str:
        """What a fingerprint calls it: the repository, or a directory's own name wherever it lies."""
        return self.name.removeprefix("st:") if self.revision else self.directory.resolve().name

    @property
    def architectures(self) -> tuple[str, ...]:
        """The classes that its configuration names."""
        return tuple(self.config.get("architectures") or ())

    @property
    def transformer(self) -> Path:
        """The directory of the backbone: the first module's."""
        return self.directory / str(self.modules[0].get("path", "")) if self.modules else self.directory


def open_checkpoint(name: str, settings: ModelSettings) -> Checkpoint:
    """Find a local directory or a repository's snapshot, and check what can be seen without loading it.

    Args:
        name: a directory, or `ORG/NAME`, with or without `st:` before it.
        settings: revision, offline and remote-code choices.

    Raises:
        ModelError: it is not there, needs code of its own, holds no safetensors, or has the layout of
            colpali-engine or of an unmerged adapter; names the file and the remedy.
    """
    directory, revision = _find(name.removeprefix("st:"), settings)
    modules = _read(directory / "modules.json") if (directory / "modules.json").exists() else []
    first = directory / str(modules[0].get("path", "")) if modules else directory
    _refuse_foreign(directory, first, modules)
    config = _read(first / "config.json")
    if config.get("model_type") not in CONFIG_MAPPING and "auto_map" in config:
        _refuse_remote_code(first / "config.json", settings)
    if any(not str(module.get("type", "")).startswith("sentence_transformers.") for module in modules):
        _refuse_remote_code(directory / "modules.json", settings)
    return Checkpoint(name, directory, revision, config, tuple(modules), _digest(directory))


def tensor_names(directory: Path) -> frozenset[str]:
    """The names of the tensors in a directory's safetensors files.

    Raises:
        ModelError: there is no safetensors file, or one is damaged.
    """
    files = sorted(directory.glob("*.safetensors"))
    if not files:
        raise ModelError(
            f"{directory} holds no .safetensors file; other formats can run code when they are opened: "
            "convert the "
            "weights to safetensors first"
        )
    names: set[str] = set()
    for file in files:
        try:
            with safe_open(file, framework="numpy") as opened:
                names.update(opened.keys())
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{file} is damaged ({error}); fetch it again") from error
    return frozenset(names)


def _find(name: str, settings: ModelSettings) -> tuple[Path, str]:
    local = Path(name).expanduser()
    if local.is_dir():
        return local, ""
    if not REPOSITORY.fullmatch(name) or name.startswith((".", "~")):
        raise ModelError(f"{name!r} is neither a directory on this machine nor a repository ORG/NAME")
    try:
        path = huggingface_hub.snapshot_download(
            name,
            revision=settings.revision or None,
            local_files_only=settings.offline,
            ignore_patterns=list(_UNUSED),
        )
    except LocalEntryNotFoundError as error:
        raise ModelError(
            f"{name} is not on this machine and cannot be fetched (offline, or the hub does not answer); "
            f"download it elsewhere and give its directory{_meant(name)}"
        ) from error
    except RepositoryNotFoundError as error:
        raise ModelError(
            f"the hub has no repository {name}, or it asks for a login (hf auth login){_meant(name)}"
        ) from error
    except (HfHubHTTPError, HFValidationError, OSError) as error:
        raise ModelError(f"{name} could not be fetched: {error}") from error
    return Path(path), Path(path).name


def _meant(name: str) -> str:
    close = [] if name in FAMILIES else near(name, FAMILIES)
    return f"; did you mean {' or '.join(close)}?" if close else ""


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError(f"{path} is missing; this is not a complete checkpoint: fetch it again") from error
    except ValueError as error:
        raise ModelError(f"{path} is not valid JSON ({error}); fetch it again") from error


def _refuse_foreign(directory: Path, transformer: Path, modules: list[Any]) -> None:
    if (transformer / "adapter_config.json").exists():
        raise ModelError(
            f"{transformer / 'adapter_config.json'}: an adapter without its base model; merge it, or for a "
            f"colpali-engine model run: recto models convert {directory} TARGET"
        )
    names = tensor_names(transformer)
    if not modules and any(_COLPALI_HEAD in name for name in names):
        raise ModelError(
            f"{directory} has the layout of colpali-engine (a tensor named {_COLPALI_HEAD}), which would "
            "load with "
            f"random weights; convert it once: recto models convert {directory} TARGET"
        )


def _refuse_remote_code(path: Path, settings: ModelSettings) -> None:
    if not settings.trust_remote_code:
        raise ModelError(
            f"{path} asks to run the checkpoint's own Python code; read that code, and if you trust it, give "
            "--trust-remote-code"
        )


def _digest(directory: Path) -> str:
    digest = hashlib.sha256()
    for file in sorted(directory.rglob("*.safetensors")):
        digest.update(file.relative_to(directory).as_posix().encode())
        digest.update(_content(file).encode())
    return digest.hexdigest()[:16]


def _content(file: Path) -> str:
    """The SHA-256 of a file; the hub's cache names its blobs by it, which saves reading gigabytes."""
    blob = file.resolve().name
    if file.is_symlink() and re.fullmatch(r"[0-9a-f]{64}", blob):
        return blob
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
