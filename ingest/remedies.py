"""What a person can do about a document or page that was refused."""

from collections.abc import Mapping
from types import MappingProxyType

from domain.errors import FailureCode

_ANEW = "get the file again from its source, or save it anew from a PDF viewer"
_SIMPLER = "print it to a new PDF, or raise the limits on a page"

REMEDIES: Mapping[FailureCode, str] = MappingProxyType(
    {"corrupt": _ANEW, "empty": _ANEW, "crashed": _ANEW, "timeout": _SIMPLER, "too_large": _SIMPLER}
)


def with_remedy(code: FailureCode, sentence: str) -> str:
    """The sentence with what would do, where it does not say so itself."""
    remedy = REMEDIES.get(code)
    return f"{sentence}; {remedy}" if remedy and ";" not in sentence else sentence
