"""What was read last, kept in memory by the name of its content, which never changes."""

import threading
from collections import OrderedDict
from collections.abc import Callable


class Recent:
    """The texts that were asked for last; what lies longest goes first."""

    def __init__(self, most_characters: int) -> None:
        """Keep at most about so many characters."""
        self._most, self._held = most_characters, 0
        self._turn = threading.Lock()
        self._kept: OrderedDict[str, str] = OrderedDict()

    def get(self, key: str, read: Callable[[], str]) -> str:
        """The text of this name, read where it is not kept."""
        with self._turn:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                return found
        text = read()
        with self._turn:
            if key not in self._kept:
                self._kept[key] = text
                self._held += len(text)
            while self._held > self._most and self._kept:
                _, gone = self._kept.popitem(last=False)
                self._held -= len(gone)
        return text
