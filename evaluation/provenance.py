"""Where a report comes from: the source, the machine, the time."""

import datetime as dt
import os
import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch

from backbone.threads import cores

_SOURCE = Path(__file__).resolve().parent.parent


def commit(source: Path = _SOURCE) -> str:
    """The commit of the source tree, `-dirty` appended where files were changed; empty without git."""
    head = _git(source, "rev-parse", "HEAD")
    if not head or _git(source, "rev-parse", "--show-toplevel") != str(source):
        return ""
    return (
        f"{head[:12]}-dirty" if _git(source, "status", "--porcelain", "--untracked-files=no") else head[:12]
    )


def _git(source: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(source), *arguments], capture_output=True, text=True, timeout=20, check=False
        )
    except OSError:
        return ""  # no git on this machine: an installed package has no commit either
    return done.stdout.strip() if done.returncode == 0 else ""


def version() -> str:
    """The installed version of recto, empty where it runs from a source tree only."""
    try:
        return metadata.version("recto")
    except metadata.PackageNotFoundError:
        return ""


def hardware() -> Mapping[str, str]:
    """Processor, cores, memory, accelerator and the versions that change figures."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    return {
        "cpu": _cpu(),
        "cores": str(cores()),
        "memory_gib": f"{_memory_bytes() / 2**30:.0f}",
        "gpu": gpu,
        "os": platform.platform(terse=True),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def now() -> str:
    """The time in UTC, to the second."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
