"""`recto serve`: opens a library, checks that it may listen, and serves until it is told to stop."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from domain.errors import UsageError
from library.library import Library
from service.app import create
from service.keys import KeyRing
from service.settings import ServiceSettings

_GRACE_S = 30
_PLAIN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "color_message"}


def serve(library: Library, settings: ServiceSettings | None = None) -> None:
    """Serve a library until SIGINT or SIGTERM; the batch in hand is finished.

    Raises:
        UsageError: the address can be reached from elsewhere and the library has no keys.
    """
    chosen = settings or ServiceSettings()
    check(library.directory, chosen)
    structured_logs()
    config = uvicorn.Config(
        create(library, chosen),
        host=chosen.host,
        port=chosen.port,
        access_log=False,  # it would write queries; service.requests logs the route's template instead
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    _Server(config).run()


def check(directory: Path, settings: ServiceSettings) -> None:
    """Refuse to listen where strangers could come in.

    Raises:
        UsageError: the address is not a loopback address and no key exists.
    """
    if not settings.loopback and not KeyRing(directory).keys():
        raise UsageError(
            f"{settings.host} can be reached from elsewhere and this library has no keys; "
            "make one with `recto keys create NAME`, or bind 127.0.0.1"
        )


class _Server(uvicorn.Server):
    """uvicorn, which ends the event streams first: they would hold up its graceful stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        app = self.config.app
        if isinstance(app, FastAPI):
            app.state.desk.board.close()
        super().handle_exit(sig, frame)


class JsonLines(logging.Formatter):
    """One JSON object a line, with the fields that `extra` brought."""

    def format(self, record: logging.LogRecord) -> str:
        """Write one record."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _PLAIN}
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def structured_logs(level: int = logging.INFO) -> None:
    """Send every log record to standard error as a line of JSON."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("httpx", "httpx2", "mcp", "PIL"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
