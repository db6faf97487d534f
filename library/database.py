"""The catalogue's SQLite file: opened in WAL mode and brought to the current schema."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine, ExceptionContext
from sqlalchemy.exc import DatabaseError

from domain.errors import FullDiskError, StoreError, is_full_disk

MIGRATIONS = Path(__file__).parent / "migrations"
BUSY_TIMEOUT_S = 30
NEEDED_BYTES = 1 << 20
"""With less room than this beside the catalogue, trouble with it is a full disk's."""


def connect(path: Path) -> Engine:
    """Open the catalogue at `path`, creating or migrating it.

    Raises:
        StoreError: the file is not a catalogue, is damaged, or was written by a newer recto.
        FullDiskError: SQLite finds no room for the files that it needs beside it, even to read.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "handle_error", _tell)
    try:
        with engine.begin() as connection:
            _bring_up_to_date(connection, path)
    except DatabaseError as error:
        engine.dispose()
        # SQLite calls a full disk an "I/O error" where it makes the files that it needs beside a catalogue
        if shutil.disk_usage(path.parent).free < NEEDED_BYTES:
            raise FullDiskError from error
        raise StoreError(
            f"the catalogue {path} cannot be read ({error.orig}); restore it from a backup, "
            "or move it away and index the documents again"
        ) from error
    return engine


def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _tell(context: ExceptionContext) -> None:
    if is_full_disk(context.original_exception):
        raise FullDiskError from context.original_exception


def _bring_up_to_date(connection: Connection, path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["connection"] = connection
    scripts = ScriptDirectory.from_config(config)
    found = _version(connection)
    if found == scripts.get_current_head():
        return
    if found is not None and found not in {script.revision for script in scripts.walk_revisions()}:
        raise StoreError(
            f"the catalogue {path} has version {found}, which this recto does not know; update recto"
        )
    command.upgrade(config, "head")


def _version(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    return found
