"""recto: ask in plain words, get the pages that hold the answer."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from library.library import Library
    from library.options import SearchOptions
    from library.settings import Settings

__all__ = ["Library", "SearchOptions", "Settings"]

_HOMES = {
    "Library": "library.library",
    "SearchOptions": "library.options",
    "Settings": "library.settings",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for, so that importing recto itself loads no model library."""
    if name not in _HOMES:
        raise AttributeError(f"module 'recto' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
