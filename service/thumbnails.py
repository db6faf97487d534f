"""Scaled page pictures, kept in memory: a page of results asks for the same dozen again and again."""

import threading
from collections import OrderedDict

from library.results import PageInfo, Picture

_Key = tuple[str, int, int, int | None]


class Thumbnails:
    """The pictures that were asked for last, up to so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        """Keep at most this many bytes of pictures."""
        self._most, self._held = most_bytes, 0
        self._lock = threading.Lock()
        self._kept: OrderedDict[_Key, Picture] = OrderedDict()

    def get(self, page: PageInfo, width: int | None) -> Picture | None:
        """The picture of a page at a width, None where it is not kept."""
        with self._lock:
            found = self._kept.get(_key(page, width))
            if found is not None:
                self._kept.move_to_end(_key(page, width))
            return found

    def put(self, page: PageInfo, width: int | None, picture: Picture) -> None:
        """Keep a picture; the ones that nobody asked for longest go first."""
        with self._lock:
            before = self._kept.pop(_key(page, width), None)
            self._held += len(picture.data) - (len(before.data) if before else 0)
            self._kept[_key(page, width)] = picture
            while self._held > self._most and self._kept:
                _, gone = self._kept.popitem(last=False)
                self._held -= len(gone.data)


def _key(page: PageInfo, width: int | None) -> _Key:
    return (page.id, page.width_px, page.height_px, width)
