"""What can go wrong, and who sees it.

RectoError             anything that recto refuses or cannot do; its text names the input and the remedy
├── UsageError         the person at the command line or API client: a wrong option, name or value
│   └── NotFoundError  a collection, document, page or job that does not exist
├── DocumentError      the person who added the document: it cannot be read; carries a failure code
├── ModelError         the person who chose the model: it cannot be loaded, or returned nonsense
│   └── EngineError    the operator: a remote engine is down, slow or wrongly set up
├── StoreError         the operator: a file of the library is damaged, missing or of another version
│   └── FullDiskError  there is no room to write; nothing that was committed is lost
└── BusyError          another process writes to this library
"""

from dataclasses import dataclass
from typing import Literal

FailureCode = Literal[
    "encrypted", "corrupt", "empty", "unsupported", "too_large", "too_many_pages",
    "timeout", "crashed", "unreadable", "model",
]  # fmt: skip


class RectoError(Exception):
    """Anything that recto refuses or cannot do; the text names the input and the remedy."""


class UsageError(RectoError):
    """A wrong option, name or value."""


class NotFoundError(UsageError):
    """A collection, document, page or job that does not exist."""


class DocumentError(RectoError):
    """A document, or a page of it, that cannot be read."""

    def __init__(self, code: FailureCode, message: str) -> None:
        """Keep the code beside the sentence."""
        super().__init__(message)
        self.code: FailureCode = code


class ModelError(RectoError):
    """A model that cannot be loaded or that returned nonsense."""


class EngineError(ModelError):
    """A remote engine that is down, too slow, or wrongly set up."""


class StoreError(RectoError):
    """A file of the library that is damaged, missing or of another version."""


class FullDiskError(StoreError):
    """There is no room to write where the library lives."""

    def __init__(self) -> None:
        """Say what would do."""
        super().__init__("the disk is full: make room where the library lives, then run it again")


class BusyError(RectoError):
    """Another process writes to this library."""


_FULL = (
    "no space left", "os error 28", "disk is full", "disk quota", "os error 122", "file too large", "os error 27",
)  # fmt: skip


def is_full_disk(error: BaseException) -> bool:
    """Whether a full disk or a used-up quota lies behind an error, in the words of whichever library met it."""
    said = str(error).lower()
    return any(sign in said for sign in _FULL)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a document or a page was not indexed: a code for machines and a sentence for people."""

    code: FailureCode
    message: str
