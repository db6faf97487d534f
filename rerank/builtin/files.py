"""The built-in reranker on disk: packed weights and their configuration."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from domain.errors import ModelError
from domain.packing import packed, unpacked
from rerank.builtin.network import RerankConfig, RerankNetwork

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CALIBRATION = "calibration.json"


def save_network(network: RerankNetwork, directory: Path) -> None:
    """Write weights and configuration, the weights under a temporary name first."""
    directory.mkdir(parents=True, exist_ok=True)
    held = directory / f"{WEIGHTS}.new"
    save_file(packed({name: weight.detach().numpy() for name, weight in network.state_dict().items()}), held)
    held.replace(directory / WEIGHTS)
    (directory / CONFIG).write_text(json.dumps(asdict(network.config), indent=2) + "\n")


def load_network(directory: Path, table: Tensor) -> tuple[RerankNetwork, str]:
    """Read a reranker and the hash of its weights.

    Args:
        directory: where `save_network` wrote.
        table: (pieces, width), the vectors of the text tower's word pieces.

    Raises:
        ModelError: a file is missing or damaged, or the weights do not fit the configuration.
    """
    try:
        config = RerankConfig(**json.loads((directory / CONFIG).read_text()))
        stored = unpacked(load_file(directory / WEIGHTS))
        digest = hashlib.sha256((directory / WEIGHTS).read_bytes()).hexdigest()[:16]
        with torch.device("meta"):
            network = RerankNetwork(config, table)
        weights = {name: torch.from_numpy(weight) for name, weight in stored.items()}
        network.load_state_dict(weights, strict=True, assign=True)
    except (OSError, TypeError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise ModelError(
            f"the reranker in {directory} cannot be loaded ({error}); "
            "name a directory that `recto train reranker` wrote, or restore the one that ships"
        ) from error
    return network.eval(), digest
