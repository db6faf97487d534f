"""API keys: made once, shown once, kept only as hashes in the library's `keys.json`.

A key is 256 random bits, so one SHA-256 keeps it: nobody can guess its preimage, and a slow hash, which
protects words that people choose, would only cost every request some milliseconds.
"""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import tempfile
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

from domain.errors import NotFoundError, StoreError, UsageError

FILE_NAME = "keys.json"
Scope = Literal["read", "write", "admin"]
SCOPES: tuple[str, ...] = get_args(Scope)
_FORM = re.compile(r"recto_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class Key:
    """A key as it is kept: `secret_sha256` is all that remains of it; `collections` None means every one."""

    id: str
    name: str
    scopes: tuple[str, ...]
    collections: tuple[str, ...] | None
    secret_sha256: str
    created: str


class KeyRing:
    """The keys of one library. A change of the file, by `recto keys` say, counts from the next request on."""

    def __init__(self, directory: Path) -> None:
        """Use the keys that lie in this library's directory."""
        self._path = directory / FILE_NAME
        self._stamp: tuple[int, int, int] | None = None
        self._keys: dict[str, Key] = {}

    def keys(self) -> tuple[Key, ...]:
        """Every key, oldest first.

        Raises:
            StoreError: the file cannot be read or understood; nobody is let in then.
        """
        stamp = self._now()
        if stamp != self._stamp:
            self._keys = {key.id: key for key in self._read()} if stamp else {}
            self._stamp = stamp
        return tuple(self._keys.values())

    def create(self, name: str, scopes: Iterable[str], collections: Iterable[str] | None = None) -> str:
        """Make a key and return it; this is the only time that it can be seen.

        Raises:
            UsageError: the name is empty, or a scope is none of read, write and admin.
        """
        chosen = tuple(scope for scope in SCOPES if scope in set(scopes))
        unknown = sorted(set(scopes) - set(SCOPES))
        if unknown or not chosen:
            raise UsageError(f"scopes are among {', '.join(SCOPES)}, not {', '.join(unknown) or 'none'}")
        if not name.strip():
            raise UsageError("a key needs a name by which you will know it")
        limits = None if collections is None else tuple(sorted(set(collections)))
        number, secret = secrets.token_hex(6), _secret()
        now = datetime.now(UTC).isoformat(timespec="seconds")
        key = Key(number, name.strip(), chosen, limits, _digest(secret), now)
        self._write((*self.keys(), key))
        return f"recto_{number}_{secret}"

    def revoke(self, key_id: str) -> Key:
        """Forget a key; requests with it are refused from now on.

        Raises:
            NotFoundError: there is no key of this id.
        """
        found = {key.id: key for key in self.keys()}
        gone = found.pop(key_id, None)
        if gone is None:
            raise NotFoundError(f"there is no key {key_id!r}; `recto keys list` shows them")
        self._write(found.values())
        return gone

    def find(self, text: str) -> Key | None:
        """The key that this text is, or None; takes the same time for a wrong secret and a right one."""
        form = _FORM.fullmatch(text)
        if form is None:
            return None
        self.keys()
        key = self._keys.get(form.group(1))
        expected = key.secret_sha256 if key else "0" * 64
        same = hmac.compare_digest(_digest(form.group(2)), expected)
        return key if same else None

    def _now(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino)

    def _read(self) -> list[Key]:
        try:
            rows = json.loads(self._path.read_text(encoding="utf-8"))["keys"]
            return [_key(row) for row in rows]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{self._path} cannot be read ({error}); mend it or make new keys") from error

    def _write(self, keys: Iterable[Key]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(dir=self._path.parent, prefix=".keys-")  # made with mode 0600
        with os.fdopen(handle, "w", encoding="utf-8") as out:
            json.dump({"keys": [asdict(key) for key in keys]}, out, indent=1)
            out.flush()
            os.fsync(out.fileno())
        Path(partial).replace(self._path)
        self._stamp = None


def _secret() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _key(row: dict[str, Any]) -> Key:
    names = row["collections"]
    limits = None if names is None else tuple(names)
    return Key(**{**row, "scopes": tuple(row["scopes"]), "collections": limits})
