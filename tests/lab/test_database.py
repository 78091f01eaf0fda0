"""A file that SQLite has a hard time with: damaged, left by a process that was killed, in use, on read-only media."""

import ctypes
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing

import pytest

from ostinato.errors import DataError
from ostinato.lab.results import Curve, Result, Run
from ostinato.lab.store import FILE, create, open_store

RUN = Run("memory", "ostinato memory", {"cells": ["srn"]}, {"python": "3.11.7"}, {"cores": "2"}, "2026-01-31T12:00:00Z")
BATCH = 8


def batch(number):
    curve = Curve(list(range(100, 2100, 100)), *[[0.5] * 20] * 3)
    return [Result("srn", number, seed, 0.5, 0.5, 1, 1, 1, "finished", 1.0, curve) for seed in range(BATCH)]


ADD_FOR_EVER = f"""
import sys
sys.path[:0] = {sys.path!r}
from lab.test_database import batch, create, open_store, RUN
with open_store(sys.argv[1]) as store:
    number = store.count()
    while True:
        store.add(batch(number))
        number += len(batch(number))
        print(number, flush=True)
"""

DIE_WHILE_ADDING = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from lab.test_database import batch, open_store
def results():
    yield from batch(1)
    os.kill(os.getpid(), signal.SIGKILL)
store = open_store(sys.argv[1])
store._connection.execute("PRAGMA cache_size = 1")  # what is not committed yet goes to the disk as well
store.add(batch(0))
store.add(results())
"""


def start(program, folder, **options):
    return subprocess.Popen([sys.executable, "-c", program, folder], stdout=subprocess.PIPE, text=True, **options)


def check(folder, at_least):
    """Whole batches, no less than were reported, in a file without a fault."""
    with open_store(folder, read_only=True) as store:
        results = store.results()
        (fault,) = store._connection.execute("PRAGMA integrity_check").fetchone()
    assert fault == "ok"
    assert len(results) % BATCH == 0
    assert len(results) >= at_least
    assert all(len(result.curve.step) == 20 for result in results)


def test_killed_again_and_again(tmp_path):
    create(tmp_path, RUN).close()
    random.seed(0)
    count = 0
    for _ in range(5):
        with start(ADD_FOR_EVER, tmp_path) as process:
            reported = [process.stdout.readline() for _ in range(random.randint(1, 30))]
            process.kill()
            reported += process.stdout.readlines()
        assert int(reported[-1]) > count
        count = int(reported[-1])
        check(tmp_path, at_least=count)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.fixture
def killed(tmp_path):
    """The folder of a run that was killed in the middle of its second batch."""
    create(tmp_path / "run", RUN).close()
    with start(DIE_WHILE_ADDING, tmp_path / "run") as process:
        pass
    assert process.returncode == -signal.SIGKILL
    assert (tmp_path / "run" / f"{FILE}-wal").stat().st_size > 0
    return tmp_path / "run"


def test_killed_in_the_middle(killed):
    shutil.copytree(killed, killed.with_name("copy"))
    for folder in (killed, killed.with_name("copy")):
        check(folder, at_least=BATCH)
        with open_store(folder) as store:
            assert store.count() == BATCH
            store.add(batch(1))
            assert store.count() == 2 * BATCH


def test_many_readers_while_one_writes(tmp_path):
    create(tmp_path, RUN).close()
    faults, seen = [], []

    def read():
        before = 0
        try:
            while before < 50 * BATCH:
                with open_store(tmp_path, read_only=True) as store:
                    for _ in range(3):
                        count = len(store.results(curves=False))
                        assert count % BATCH == 0
                        assert count >= before
                        before = count
            seen.append(before)
        except Exception as error:
            faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(4)]
    with start(ADD_FOR_EVER, tmp_path) as process:
        for reader in readers:
            reader.start()
        for reader in readers:
            reader.join(30)
        process.kill()
    assert faults == []
    assert len(seen) == 4


# Read-only media.

READ = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from lab.test_database import batch, open_store
assert not os.access(sys.argv[1], os.W_OK)
with open_store(sys.argv[1], read_only=True) as store:
    print(store.count(), len(store.results()), store.run().experiment)
try:
    open_store(sys.argv[1]).add(batch(5))
except Exception as error:
    print(type(error).__name__)
"""


def _obey_permissions():
    """Root may write everywhere; without this capability (prctl PR_CAPBSET_DROP, CAP_DAC_OVERRIDE) it may not."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(24, 1, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="takes the right to write from root as Linux does")
@pytest.mark.parametrize("left", [(FILE,), (FILE, f"{FILE}-wal"), (FILE, f"{FILE}-wal", f"{FILE}-shm")], ids=len)
def test_read_only_media(killed, left):
    if len(left) == 1:  # a run that came to its end
        open_store(killed).close()
    else:
        for path in set(killed.iterdir()) - {killed / name for name in left}:
            path.unlink()
    assert {path.name for path in killed.iterdir()} == set(left)
    for path in [*killed.iterdir(), killed]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        with start(READ, killed, preexec_fn=_obey_permissions) as process:
            assert process.stdout.read() == f"{BATCH} {BATCH} memory\nDataError\n"
        assert {path.name for path in killed.iterdir()} == set(left)
    finally:
        killed.chmod(0o755)


# Damage.


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize("content", [b"cell,length,seed\nsrn,10,0\n" * 100, bytes(range(256)) * 40])
def test_not_a_database(tmp_path, content, read_only):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(DataError, match=r"run.sqlite is damaged, or not the file of a run: file is not a database$"):
        open_store(tmp_path, read_only=read_only)
    assert (tmp_path / FILE).read_bytes() == content


def test_cut_off(tmp_path):
    with create(tmp_path, RUN) as store:
        store.add(batch(0))
    whole = (tmp_path / FILE).read_bytes()
    for size in (1, 50, 500, 1000, 5000, len(whole) // 2, len(whole) - 4096):
        (tmp_path / FILE).write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"run.sqlite"), open_store(tmp_path, read_only=True) as store:
            assert (store.run(), store.results()) == size  # where the damage is found: never reached


def test_any_byte_wrong(tmp_path):
    """Either it is read, or one sentence says that it is damaged: nothing else is ever raised."""
    with create(tmp_path, RUN) as store:
        store.add(batch(0))
    whole = (tmp_path / FILE).read_bytes()
    random.seed(0)
    refused = 0
    for _ in range(400):
        content = bytearray(whole)
        for _ in range(random.randint(1, 20)):
            content[random.randrange(len(content))] = random.randrange(256)
        (tmp_path / FILE).write_bytes(content)
        try:
            with open_store(tmp_path, read_only=True) as store:
                store.run(), store.results(), store.count()
        except DataError:
            refused += 1
    assert refused > 20


def test_in_use_by_something_that_does_not_let_go(tmp_path, monkeypatch):
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *args, **options: connect(*args, **{**options, "timeout": 0}))
    with create(tmp_path, RUN) as store, closing(connect(tmp_path / FILE)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DataError, match=r"run.sqlite: database is locked$"):
            store.add(batch(0))
        other.rollback()
        store.add(batch(0))
        assert store.count() == BATCH
