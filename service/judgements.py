"""What people opened and what they judged, kept only where the operator turned it on."""

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

from domain.errors import NotFoundError
from domain.page import PageId

FILE_NAME = "judgements.jsonl"


class JudgementLog:
    """Lines of `query`, `page_id` and, unless it is a click, `score`: what `recto evaluate export` reads.

    Nothing says who searched. The file lies in the library's directory and leaves it by hand only.
    """

    def __init__(self, path: Path, *, on: bool) -> None:
        """Keep lines in this file, or none at all."""
        self.path, self.on = path, on
        self._turn = threading.Lock()

    def add(self, query: str, page_id: PageId, score: int | None) -> None:
        """Keep one judgement, 0 or above, or a click where there is no score.

        Raises:
            NotFoundError: this service keeps none.
        """
        if not self.on:
            raise NotFoundError("this service keeps no judgements; start it with `--record-judgements`")
        line: dict[str, str | int] = {"query": query, "page_id": page_id}
        if score is not None:
            line["score"] = score
        line["time"] = datetime.now(UTC).isoformat(timespec="seconds")
        with self._turn, self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
