"""One process at a time works on a run: a lock that ends with the process that holds it, however that ends."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import DataError
from ..files import write_atomically


@contextmanager
def lock(folder: str | Path) -> Iterator[None]:
    """Have a folder, which is made if need be, to oneself while the block runs.

    Nobody waits: who comes second is refused at once. To read a run, no lock is needed.

    Raises:
        DataError: another process, or another block of this one, has the lock; the message says which.
        OSError: the folder cannot be made or written to.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    holder = folder / "run.holder"  # not in the lock itself, which Windows lets nobody else read
    held, owner = FileLock(folder / "run.lock"), os.getpid()
    try:
        held.acquire(timeout=0)
    except Timeout:
        raise DataError(
            f"{folder} is in use by {_read(holder)}: wait for it to end, or choose another folder"
        ) from None
    try:
        write_atomically(holder, f"process {owner} on {platform.node()}".encode())
        yield
    finally:
        if os.getpid() == owner:  # a forked child that leaves the block has nothing to let go of
            holder.unlink(missing_ok=True)
            held.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text("utf-8")
    except OSError:
        return "another process"
