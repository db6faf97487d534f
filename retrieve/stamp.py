"""Which files a text index consists of, and whether they are still what was written."""

import time
from pathlib import Path

from retrieve.files import file_checksum, sealed, unsealed, write_file

VERSION = 3
STAMP = "recto.json"
META = "meta.json"


def damage(directory: Path) -> str | None:
    """What is wrong with the files of a text index, as the end of a sentence; None when nothing is.

    A commit of another process may fall between two reads, so trouble is looked at again before it counts.
    """
    reason = _damage(directory)
    for pause_s in (0.05, 0.2):
        if reason is None or not (directory / STAMP).exists():
            break
        time.sleep(pause_s)
        reason = _damage(directory)
    return reason


def _damage(directory: Path) -> str | None:
    try:
        for name, checksum in read_stamp(directory).items():
            if checksum != file_checksum(directory / name):
                return f"has a damaged file, {name}"
    except FileNotFoundError as error:
        return f"is not complete: {Path(str(error.filename)).name} is missing"
    except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
        return f"cannot be read: {error}"
    return None


def read_stamp(directory: Path) -> dict[str, str]:
    """The files that count and their checksums.

    Raises:
        ValueError: the stamp is damaged or of another version.
        OSError: it cannot be read.
    """
    stamp = unsealed((directory / STAMP).read_bytes())
    if stamp["version"] != VERSION:
        raise ValueError("it is of another version")
    return {str(name): str(checksum) for name, checksum in stamp["files"].items()}


def write_stamp(directory: Path, known: dict[str, str]) -> dict[str, str]:
    """Write down the checksum of every file that counts; only the list of files changes under its name."""
    files = {
        path.name: file_checksum(path) if path.name == META or path.name not in known else known[path.name]
        for path in sorted(directory.iterdir())
        if not path.name.startswith(".") and path.name != STAMP and path.suffix != ".lock"
    }
    data = sealed({"version": VERSION, "files": files})
    write_file(directory / STAMP, lambda file: file.write(data))
    return files
