"""One SQLite file, opened where it lies: in use by others, left by a process that was killed, on read-only media."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ..errors import DataError

#: What SQLite keeps beside a database, after its name.
BESIDE = ("-wal", "-shm", "-journal")


def to_write(path: Path) -> sqlite3.Connection:
    """A connection that adds: readers do not wait for it, and what it commits outlives a power cut.

    Raises:
        DataError: the file cannot be opened, or is no database.
    """
    with explained(path):
        return _connect(path, "PRAGMA journal_mode = wal", "PRAGMA synchronous = full")


def to_read(path: Path) -> sqlite3.Connection:
    """A connection that adds nothing; to a copy in memory where the folder cannot be written.

    SQLite needs a file beside the database to read one that may be written at the same time. Opened as "immutable" it
    needs none, but it then passes over what lies in `-wal`: the last results of a run that was killed, or of a folder
    that was copied while the run went on.

    Raises:
        DataError: the file is no database, or damaged.
        OSError: it cannot be read.
    """
    with explained(path):
        try:
            return _connect(path, "PRAGMA query_only = on", "SELECT count(*) FROM sqlite_master")
        except sqlite3.OperationalError:
            return _copy(path)


def _connect(path: Path, *statements: str) -> sqlite3.Connection:
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=30)
    try:
        for statement in statements:
            connection.execute(statement).fetchall()
    except BaseException:
        connection.close()
        raise
    return connection


def _copy(path: Path) -> sqlite3.Connection:
    memory = sqlite3.connect(":memory:")
    try:
        with TemporaryDirectory(prefix="ostinato-") as folder:
            for suffix in ("", *BESIDE):
                if (part := path.with_name(path.name + suffix)).exists():
                    shutil.copyfile(part, Path(folder) / part.name)
            with closing(sqlite3.connect(Path(folder) / path.name)) as copy:
                copy.backup(memory)
    except BaseException:
        memory.close()
        raise
    return memory


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What SQLite says about a file, as a DataError; what it says about our use of it stays as it is."""
    try:
        yield
    except sqlite3.OperationalError as error:
        raise DataError(f"{path}: {error}") from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        if isinstance(error, (sqlite3.ProgrammingError, sqlite3.IntegrityError)):
            raise
        raise DataError(f"{path} is damaged, or not the file of a run: {error}") from error
