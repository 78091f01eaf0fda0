"""A run on disk: one SQLite file in the folder of the run, in plain tables, so that any language can read it.

    sqlite3 runs/first/run.sqlite "SELECT cell, length, avg(test), count(*) FROM result GROUP BY cell, length"

Readers do not wait for the writer. A process that is killed loses what it had not added, no more. Every add is on the
disk when it returns, even if the power fails: networks take minutes, a commit takes milliseconds.

The tables are promised: a file of an old version is read for ever. Whoever changes them raises `_VERSION`, reads both,
and keeps a file of the new version in `tests/compat`.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from ..errors import DataError
from ..files import temporary_name
from .database import BESIDE, explained, to_read, to_write
from .results import Curve, Result, Run

#: The name of the file in the folder of a run.
FILE = "run.sqlite"

_APPLICATION = int.from_bytes(b"Osti")
_VERSION = 1

_TABLES = """
CREATE TABLE run (               -- one row
    experiment TEXT NOT NULL,
    command TEXT NOT NULL,       -- what to type to repeat it
    settings TEXT NOT NULL,      -- JSON
    versions TEXT NOT NULL,      -- JSON, of packages
    machine TEXT NOT NULL,       -- JSON
    started TEXT NOT NULL        -- UTC, ISO 8601
);
CREATE TABLE result (            -- a row a network
    id INTEGER PRIMARY KEY,      -- in the order of adding
    cell TEXT NOT NULL,
    length INTEGER NOT NULL,
    seed INTEGER NOT NULL,
    dev REAL,                    -- the metric of the task, of the best model; NULL: NaN
    test REAL,                   -- the same on the test examples; NULL: NaN
    best_step INTEGER NOT NULL,
    solved_step INTEGER,         -- NULL: never solved
    steps INTEGER NOT NULL,
    status TEXT NOT NULL,        -- finished, diverged
    seconds REAL,
    UNIQUE (cell, length, seed)
);
CREATE TABLE evaluation (        -- a row a look at the dev examples
    result INTEGER NOT NULL REFERENCES result,
    step INTEGER NOT NULL,
    train_loss REAL,             -- NULL: NaN, here and below
    dev_loss REAL,
    dev REAL,
    PRIMARY KEY (result, step)
) WITHOUT ROWID;
"""


class Store:
    """The results of one run. Made by `create` and `open_store`; of use to one thread, and not after a fork."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection

    def run(self) -> Run:
        """How the run was made.

        Raises:
            DataError: the file is damaged.
        """
        with explained(self._path):
            row = self._connection.execute(
                "SELECT experiment, command, settings, versions, machine, started FROM run"
            ).fetchone()
        try:
            experiment, command, settings, versions, machine, started = row
            return Run(experiment, command, json.loads(settings), json.loads(versions), json.loads(machine), started)
        except (TypeError, ValueError) as error:
            raise DataError(f"{self._path} is damaged: how the run was made cannot be read ({error})") from None

    def add(self, results: Sequence[Result]) -> None:
        """Add all of these results or, if anything is wrong, none.

        Raises:
            DataError: a network that is there already, a curve whose lists differ in size or whose steps do not rise,
                or a file that cannot be written.
        """
        with explained(self._path), self._connection:
            for result in results:
                self._add(result)

    def _add(self, result: Result) -> None:
        evaluations = _evaluations(result)
        r = result
        try:
            added = self._connection.execute(
                "INSERT INTO result VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (r.cell, r.length, r.seed, r.dev, r.test, r.best_step, r.solved_step, r.steps, r.status, r.seconds),
            ).lastrowid
        except sqlite3.IntegrityError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
                raise
            raise DataError(f"{self._path} holds {_name(result)} already: a network is added once") from None
        self._connection.executemany(
            "INSERT INTO evaluation VALUES (?, ?, ?, ?, ?)", ((added, *row) for row in evaluations)
        )

    def results(self, *, curves: bool = True) -> list[Result]:
        """Every result, in the order of adding; `curves=False` leaves the curves empty, which is faster.

        Raises:
            DataError: the file is damaged.
        """
        with explained(self._path):
            rows = self._connection.execute(
                "SELECT id, cell, length, seed, dev, test, best_step, solved_step, steps, status, seconds "
                "FROM result ORDER BY id"
            ).fetchall()
            found = self._curves() if curves else {}  # with some that were added since, which does no harm
        return [
            Result(
                cell=cell,
                length=length,
                seed=seed,
                dev=_number(dev),
                test=_number(test),
                best_step=best_step,
                solved_step=solved_step,
                steps=steps,
                status=status,
                seconds=_number(seconds),
                curve=found.get(number, Curve()),
            )
            for number, cell, length, seed, dev, test, best_step, solved_step, steps, status, seconds in rows
        ]

    def _curves(self) -> dict[int, Curve]:
        """The curves by the id of their result."""
        rows = self._connection.execute(
            "SELECT result, step, train_loss, dev_loss, dev FROM evaluation ORDER BY result, step"
        )
        curves = {}
        for number, evaluations in groupby(rows, key=itemgetter(0)):
            _, steps, *values = zip(*evaluations, strict=True)
            curves[number] = Curve(list(steps), *([_number(value) for value in column] for column in values))
        return curves

    def count(self) -> int:
        """How many results there are.

        Raises:
            DataError: the file is damaged.
        """
        with explained(self._path):
            return self._connection.execute("SELECT count(*) FROM result").fetchone()[0]

    def close(self) -> None:
        """Let go of the file. Whoever closes last leaves nothing beside it."""
        self._connection.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def create(folder: str | Path, run: Run) -> Store:
    """Begin a run in a folder, which is made if need be.

    Raises:
        DataError: the folder holds a run already.
        OSError: it cannot be made or written to.
    """
    path = Path(folder) / FILE
    if path.exists():
        raise DataError(f"{folder} holds a run already: continue it, or choose another folder")
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in BESIDE:  # of a file that was deleted: SQLite would take them for parts of ours
        path.with_name(FILE + left).unlink(missing_ok=True)
    temporary = temporary_name(path)
    temporary.unlink(missing_ok=True)  # of a process of this number, that was killed
    try:
        with explained(path), closing(sqlite3.connect(temporary)) as connection:
            _fill(connection, run)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return open_store(folder)


def _fill(connection: sqlite3.Connection, run: Run) -> None:
    connection.executescript(_TABLES)
    connection.execute(f"PRAGMA application_id = {_APPLICATION}")
    connection.execute(f"PRAGMA user_version = {_VERSION}")
    documents = (json.dumps(value, ensure_ascii=False) for value in (run.settings, run.versions, run.machine))
    connection.execute(
        "INSERT INTO run VALUES (?, ?, ?, ?, ?, ?)", (run.experiment, run.command, *documents, run.started)
    )
    connection.commit()


def open_store(folder: str | Path, *, read_only: bool = False) -> Store:
    """Open the run of a folder: to add to it, or to read what there is, which works where nothing can be written.

    Raises:
        DataError: no such folder, no run in it, or a file that is not one of ours, damaged or too new.
        OSError: the file cannot be read.
    """
    path = Path(folder) / FILE
    if not path.is_file():
        raise DataError(f"{folder} is not the folder of a run: there is no {FILE} in it")
    connection = to_read(path) if read_only else to_write(path)
    try:
        _check(path, connection)
    except BaseException:
        connection.close()
        raise
    return Store(path, connection)


def _check(path: Path, connection: sqlite3.Connection) -> None:
    with explained(path):
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application != _APPLICATION:
        raise DataError(f"{path} was not written by Ostinato")
    if version > _VERSION:
        raise DataError(
            f"{path} was written by a newer Ostinato: its tables are of version {version}, "
            f"this one reads up to {_VERSION}"
        )


def _evaluations(result: Result) -> list[tuple[int, float, float, float]]:
    c = result.curve
    if len({len(column) for column in (c.step, c.train_loss, c.dev_loss, c.dev)}) > 1:
        raise DataError(f"the curve of {_name(result)} has lists of different sizes; they are of one size")
    if any(later <= earlier for earlier, later in zip(c.step, c.step[1:], strict=False)):
        raise DataError(f"the steps of the curve of {_name(result)} do not rise: {c.step}")
    return list(zip(c.step, c.train_loss, c.dev_loss, c.dev, strict=True))


def _name(result: Result) -> str:
    return f"{result.cell}, length {result.length}, seed {result.seed}"


def _number(value: float | None) -> float:
    """SQLite keeps a NaN as NULL."""
    return math.nan if value is None else value
