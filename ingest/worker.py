"""The child process that reads documents: `python -m ingest.worker`, requests on stdin, answers on stdout.

It starts as a fresh interpreter, so nothing of the parent's threads, models or secrets is in it.
"""

import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from domain.errors import DocumentError
from ingest.engine import Document, Drawn, Outline
from ingest.layer import pack, places, plain
from ingest.limits import Limits
from ingest.picture import encode, has_ink, wordless
from ingest.sandbox import allow_cpu, confine, die_with
from ingest.wire import ClosedError, Message, receive, send

ENGINES = {
    "mupdf": "ingest.mupdf:MuPdfDocument",
    "poppler": "ingest.poppler:PopplerDocument",
    "pdfium": "ingest.pdfium:PdfiumDocument",
    "pillow": "ingest.photo:PhotoDocument",
}

_REQUEST_BYTES = 1024 * 1024
_METADATA_LETTERS = 1_000
_NO_MEMORY = "it needs more memory than a page may have"


class Reader:
    """Answers requests, keeping the last document open."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._open: tuple[str, str, str] | None = None
        self._document: Document | None = None

    def answer(self, request: Message) -> Message:
        """Do what the request asks; what goes wrong with the document becomes part of the answer."""
        fields = request.fields
        try:
            document = self._get(fields["engine"], fields["path"], fields["version"])
            allow_cpu(self._limits.page_cpu_s)
            if fields["ask"] == "outline":
                outline = document.outline()
                return _outlined(outline)
            return self._page(document.draw(fields["number"]))
        except DocumentError as error:
            return Message({"code": error.code, "message": str(error)})
        except MemoryError:
            return Message({"code": "too_large", "message": _NO_MEMORY})
        except Exception as error:  # noqa: BLE001  a request ends here: the parent names the document and logs
            return Message(_failure(error, str(fields["path"])))

    def _get(self, engine: str, path: str, version: str) -> Document:
        if self._open != (engine, path, version) or self._document is None:
            if self._document is not None:
                self._document.close()
            self._open, self._document = None, None
            allow_cpu(self._limits.open_timeout_s)
            self._document = _opener(engine)(Path(path), self._limits)
            self._open = (engine, path, version)
        return self._document

    def _page(self, drawn: Drawn) -> Message:
        image, text = drawn.image, drawn.text
        picture = encode(image, jpeg_quality=self._limits.jpeg_quality)
        whole = plain(text.lines)
        layer = pack(whole, text.words, text.boxes)
        fields = {
            "width_px": image.width, "height_px": image.height, "media_type": picture.media_type,
            "text": whole, "blank": not text.words and not has_ink(image), "image_bytes": len(picture.data),
            "wordless": wordless(image, places(text.boxes)),
        }  # fmt: skip
        return Message(fields, picture.data + layer)


def main() -> None:
    """Confine this process, then answer until the parent closes the pipe or ends."""
    arguments = json.loads(sys.argv[1])
    requests, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDWR), 0)
    os.dup2(2, 1)  # what a library prints must not look like an answer
    limits = Limits(**arguments["limits"])
    die_with(arguments["lifeline"])
    confinement = confine(limits)
    for engine in arguments["engines"]:
        _opener(engine)
    reader = Reader(limits)
    try:
        send(answers, Message({"offline": confinement.offline, "read_only": confinement.read_only}))
        while True:
            send(answers, reader.answer(receive(requests, max_bytes=_REQUEST_BYTES)))
    except ClosedError:
        return


def _outlined(outline: Outline) -> Message:
    metadata = {key: value[:_METADATA_LETTERS] for key, value in outline.metadata.items()}
    title = outline.title[:_METADATA_LETTERS]
    return Message({"pages": outline.pages, "title": title, "metadata": metadata})


def _failure(error: Exception, path: str) -> dict[str, str]:
    said = f"{type(error).__name__}: {error}".replace(path, "the file")[:300]
    if any(sign in said.lower() for sign in ("malloc", "alloc", "out of memory", "cannot allocate")):
        return {"code": "too_large", "message": _NO_MEMORY}
    return {"code": "corrupt", "message": f"it is damaged ({said})"}


def _opener(engine: str) -> Any:
    module, _, name = ENGINES[engine].partition(":")
    return getattr(importlib.import_module(module), name)


if __name__ == "__main__":
    main()
