"""What of a text layer can be read."""

import unicodedata

_NO_MEANING = {"Cc", "Cs", "Co", "Cn"}
_UNKNOWN = "\ufffd"


def clean(text: str) -> str:
    """Drop control, private, unassigned and half signs; "" if nothing readable stays."""
    if text.isascii() and text.isprintable():
        return text.strip()
    kept = "".join(sign for sign in text if unicodedata.category(sign) not in _NO_MEANING).strip()
    return kept if kept.strip(_UNKNOWN) else ""
