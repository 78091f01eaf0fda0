"""The cells that come with the library: one file a cell, its equations and their source, nothing else."""

from ..cell import Cell
from ..errors import DataError
from .gru import gru
from .indrnn import indrnn
from .lstm import lstm
from .mingru import mingru
from .peephole_lstm import peephole_lstm
from .residual_srn import residual_srn
from .srn import srn, srn_relu

#: Every cell of the library by its name.
CELLS: dict[str, Cell] = {c.name: c for c in (srn, srn_relu, residual_srn, lstm, peephole_lstm, gru, indrnn, mingru)}


def find(name: str) -> Cell:
    """The cell of the library with this name. Raises DataError for another one, with the names there are."""
    if name not in CELLS:
        raise DataError(f"no cell is called {name!r}; there are: {', '.join(CELLS)}")
    return CELLS[name]


__all__ = ["CELLS", "find", "gru", "indrnn", "lstm", "mingru", "peephole_lstm", "residual_srn", "srn", "srn_relu"]
