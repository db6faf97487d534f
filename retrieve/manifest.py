"""What a store holds: written last, twice, so that one flipped bit or torn write loses nothing."""

import base64
import zlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from domain.errors import StoreError
from domain.fingerprint import Fingerprint
from retrieve.files import sealed, unsealed, write_file
from retrieve.maxsim import Kind

FORMAT = 1
NAMES = ("manifest.json", "manifest.copy.json")


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """A segment in the manifest; `dead` holds the removed pages as a compressed bitmap in base64."""

    name: str
    pages: int
    dead: str = ""

    @property
    def removed(self) -> NDArray[np.bool_]:
        """Which pages of the segment were removed, (pages,) bool."""
        if not self.dead:
            return np.zeros(self.pages, dtype=bool)
        bits = np.frombuffer(zlib.decompress(base64.b64decode(self.dead)), dtype=np.uint8)
        return np.unpackbits(bits, count=self.pages).astype(bool)

    def removing(self, removed: NDArray[np.bool_]) -> "SegmentEntry":
        """The same segment with these pages removed."""
        packed = base64.b64encode(zlib.compress(np.packbits(removed).tobytes(), 1)).decode()
        return replace(self, dead=packed if removed.any() else "")


@dataclass(frozen=True, slots=True)
class Manifest:
    """The commit point of a store of vectors.

    Attributes:
        fingerprint: what made the vectors.
        dim: their width.
        stored: in which numbers they are kept, int8 or float16.
        commit: grows by one with every write.
        next_uid: what the next added page is numbered.
        segments: the files that count, oldest first; any other file is left over from a crash.
    """

    fingerprint: Fingerprint
    dim: int
    stored: Kind = "int8"
    commit: int = 0
    next_uid: int = 1
    next_segment: int = 1
    segments: tuple[SegmentEntry, ...] = field(default=())


def write_manifest(directory: Path, manifest: Manifest) -> None:
    """Make a manifest the truth: the copy first, then the file that readers look at."""
    data = sealed({"format": FORMAT, **asdict(manifest)})
    for name in reversed(NAMES):
        write_file(directory / name, lambda file: file.write(data))


def read_manifest(directory: Path) -> Manifest | None:
    """The store's manifest, from the copy when the first is damaged; None where there is no store.

    Raises:
        StoreError: both are damaged, or the format is another version's.
    """
    found = [path for name in NAMES if (path := directory / name).exists()]
    reasons = []
    for path in found:
        try:
            return _parsed(path.read_bytes())
        except (ValueError, KeyError, TypeError) as error:
            reasons.append(f"{path.name}: {error}")
    if not found:
        return None
    raise StoreError(
        f"the vectors in {directory} have no readable manifest ({'; '.join(reasons)}); "
        "delete that directory and index again"
    )


def _parsed(data: bytes) -> Manifest:
    fields = unsealed(data)
    if fields.pop("format") != FORMAT:
        raise StoreError("the vectors were written by another version of recto; index again")
    fields["fingerprint"] = Fingerprint(**fields["fingerprint"])
    fields["segments"] = tuple(SegmentEntry(**entry) for entry in fields["segments"])
    return Manifest(**fields)
