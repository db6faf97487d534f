"""Small pure functions over words of a text layer."""

import math
import unicodedata

_NO_MEANING = {"Cc", "Cs", "Co", "Cn"}
_UNKNOWN = "\ufffd"


def clean(text: str) -> str:
    """Drop control, private, unassigned and half signs; "" if nothing readable stays."""
    if text.isascii() and text.isprintable():
        return text.strip()
    kept = "".join(sign for sign in text if unicodedata.category(sign) not in _NO_MEANING).strip()
    return kept if kept.strip(_UNKNOWN) else ""


def fraction(distance: float, whole: float) -> float:
    """How far along the page, from 0 to 1; a page without extent gives 0."""
    share = distance / whole if whole > 0 else 0.0
    return 0.0 if math.isnan(share) else min(1.0, max(0.0, share))
