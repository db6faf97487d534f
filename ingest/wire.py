"""Messages between this program and its rendering workers: JSON and bytes, never pickles.

A message is eight bytes (the lengths of two parts, big endian), a JSON object and raw bytes. A worker reads
hostile documents, so nothing that it sends is ever executed or trusted beyond its stated size.
"""

import json
import os
import select
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_HEAD = struct.Struct("!II")


class ClosedError(Exception):
    """The other side went away in the middle of a message or before it."""


class LateError(Exception):
    """The message did not arrive in time."""


class OversizeError(Exception):
    """The message is longer than allowed, or not a message."""


@dataclass(frozen=True, slots=True)
class Message:
    """A JSON object and, where there is a picture, its bytes."""

    fields: Mapping[str, Any]
    body: bytes = field(default=b"", repr=False)


def send(fd: int, message: Message) -> None:
    """Write a message, all of it.

    Raises:
        ClosedError: nobody reads the other end.
    """
    text = json.dumps(message.fields, separators=(",", ":")).encode()
    try:
        _write(fd, _HEAD.pack(len(text), len(message.body)) + text)
        _write(fd, message.body)
    except BrokenPipeError as error:
        raise ClosedError("the other side closed the pipe") from error


def receive(fd: int, *, max_bytes: int, deadline: float | None = None) -> Message:
    """Read one message.

    Args:
        fd: a pipe's reading end.
        max_bytes: the largest message to take.
        deadline: `time.monotonic()` after which to give up; None waits for ever.

    Raises:
        ClosedError: the pipe ended.
        LateError: the deadline passed.
        OversizeError: the message is longer than `max_bytes`, or not a JSON object.
    """
    text_bytes, body_bytes = _HEAD.unpack(_read(fd, _HEAD.size, deadline))
    if text_bytes + body_bytes > max_bytes:
        raise OversizeError(f"a message of {text_bytes + body_bytes} bytes; at most {max_bytes} are taken")
    text = _read(fd, text_bytes, deadline)
    body = _read(fd, body_bytes, deadline)
    try:
        fields = json.loads(text)
    except ValueError as error:
        raise OversizeError("a message that is not JSON") from error
    if not isinstance(fields, dict):
        raise OversizeError("a message that is not an object")
    return Message(fields, bytes(body))


def _write(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _read(fd: int, size: int, deadline: float | None) -> bytearray:
    data = bytearray(size)
    view = memoryview(data)
    while view:
        if deadline is not None:
            _wait(fd, deadline)
        count = os.readv(fd, [view])
        if count == 0:
            raise ClosedError("the pipe ended")
        view = view[count:]
    return data


def _wait(fd: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    remaining = deadline - time.monotonic()
    if remaining <= 0 or not poll.poll(remaining * 1000):
        raise LateError("no answer in time")
