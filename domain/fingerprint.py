"""What made a set of vectors or scores: two that differ are never compared."""

import hashlib
import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Everything that changes a model's output.

    `max_visual_tokens` is per page; `weights` is a hash of the weight files.
    """

    model: str
    revision: str = ""
    weights: str = ""
    prompt: str = ""
    max_visual_tokens: int | None = None
    pooling: str = "none"
    dtype: str = "float32"

    @property
    def digest(self) -> str:
        """Sixteen hex digits that differ when anything above differs."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
