"""How the service listens and what it will take on: one frozen value, made at the entry point."""

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from domain.errors import UsageError

MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """Choices of one running service.

    Attributes:
        host: the address that it binds; without keys only a loopback address is accepted.
        port: the TCP port; 0 lets the system choose.
        hosts: further `Host` names by which it may be called while no keys exist.
        max_file_bytes: a larger file of an upload is refused; the others of the request go on.
        max_upload_bytes: the largest upload request.
        max_files: files in one upload request.
        max_body_bytes: the largest body of any other request.
        max_k: the most pages that one search may return.
        max_image_px: the widest page image that is made.
        body_idle_s: seconds without a byte after which a request's body is given up.
        requests_per_s: sustained requests a second and caller; 0 means no limit.
        burst: requests that a caller may make at once before that rate holds.
        max_active: model and image requests that run at the same time.
        max_waiting: requests that may wait for one of those places before the next is turned away.
        heartbeat_s: seconds between signs of life in an event stream.
        cache_queries: encoded queries kept.
        cache_image_bytes: scaled page pictures kept in memory.
        record_judgements: keep which pages people opened and judged, in `judgements.jsonl` of the library.
        reports: where evaluation reports lie; None means `reports` in the library's directory.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    hosts: tuple[str, ...] = ()
    max_file_bytes: int = 500 * MIB
    max_upload_bytes: int = 4096 * MIB
    max_files: int = 2000
    max_body_bytes: int = 32 * MIB
    max_k: int = 100
    max_image_px: int = 4000
    body_idle_s: float = 60.0
    requests_per_s: float = 200.0
    burst: int = 1000
    max_active: int = 8
    max_waiting: int = 256
    heartbeat_s: float = 15.0
    cache_queries: int = 4096
    cache_image_bytes: int = 64 * MIB
    record_judgements: bool = False
    reports: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what could not work, naming the setting."""
        if not 0 <= self.port <= 65_535:
            raise UsageError(f"port is a number from 0 to 65535, not {self.port}")
        for name in ("max_file_bytes", "max_upload_bytes", "max_files", "max_body_bytes", "max_active"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be at least 1, not {getattr(self, name)}")

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine alone."""
    bare = host.strip("[]")
    if bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False
