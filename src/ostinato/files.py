"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import re
from pathlib import Path

_HALF_WRITTEN = re.compile(r"\..+\.\d+\.part(-journal)?")


def write_atomically(path: str | Path, content: bytes) -> None:
    """Write under a temporary name in the same folder, then rename, so that no reader ever sees half a file.

    The content is on the disk before the name is. An error names the file, not the temporary one.
    """
    path = Path(path)
    temporary = temporary_name(path)
    try:
        temporary.write_bytes(content)
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        temporary.unlink(missing_ok=True)


def temporary_name(path: Path) -> Path:
    """Where this process writes a file before it has its name."""
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def is_half_written(path: Path) -> bool:
    """Whether this is what a process that was killed was writing under a temporary name."""
    return _HALF_WRITTEN.fullmatch(path.name) is not None
