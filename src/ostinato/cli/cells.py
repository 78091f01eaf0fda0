"""Cells as the command line names them: those of the library, and the user's own as path/to/file.py:name."""

from __future__ import annotations

import difflib
import runpy
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import DataError, OstinatoError

if TYPE_CHECKING:
    from ..cell import Cell


def find_cell(text: str) -> Cell:
    """The cell of the library with this name, or one of the user's own as `path/to/file.py:name`.

    Raises:
        DataError: there is no such cell, file or name; the message says what there is.
    """
    from ..cells import CELLS

    if text in CELLS:
        return CELLS[text]
    if ":" in text or text.endswith(".py"):
        path, _, name = text.rpartition(":") if ":" in text else (text, "", "")
        return _load(Path(path), name)
    close = difflib.get_close_matches(text.lower(), CELLS, n=1)
    hint = f"did you mean '{close[0]}'? T" if close else "t"
    raise DataError(
        f"no cell is called '{text}': {hint}here are {', '.join(CELLS)}, and your own as path/to/file.py:name"
    )


def _load(path: Path, name: str) -> Cell:
    from ..cell import Cell

    if not path.is_file():
        raise DataError(f"there is no file '{path}'")
    try:
        values = runpy.run_path(str(path))
    except OstinatoError:
        raise
    except (Exception, SystemExit) as error:
        lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
        where = f", line {lines[-1]}" if lines else ""
        raise DataError(f"'{path}'{where} does not run: {type(error).__name__}: {error}") from error
    cells = [key for key, value in values.items() if isinstance(value, Cell)]
    there = f"its cells are: {', '.join(cells)}" if cells else "it has no cell at all"
    if not name:
        raise DataError(f"'{path}' needs the name of a cell, as in {path}:{cells[0] if cells else 'name'}; {there}")
    if name not in values:
        raise DataError(f"'{path}' defines no '{name}'; {there}")
    if not isinstance(values[name], Cell):
        raise DataError(f"'{name}' in '{path}' is of type {type(values[name]).__name__}, not a cell; {there}")
    return values[name]
