"""Which backend runs a scan."""

from __future__ import annotations

from torch import Tensor

from ..cell import Cell
from ..errors import BackendError
from . import cpu, reference
from .contract import Problem, Scan, Weights, check

#: Every backend by its name, the fastest first. A backend is a module with `supports(problem)`, which answers None
#: or the reason why not, and `run(problem)`.
BACKENDS = {"cpu": cpu, "reference": reference}


def scan(
    cell: Cell,
    x: Tensor,
    weights: Weights,
    state: tuple[Tensor, ...] | None = None,
    *,
    lengths: Tensor | None = None,
    reverse: bool = False,
    backend: str = "auto",
    table: Tensor | None = None,
) -> Scan:
    """Run `cell` over x, one step after another. Shapes: see `contract`.

    Args:
        state: the initial states in the order of `cell.states`; zeros if None.
        reverse: run each sequence backward within its own length.
        table: if given, x is ids of its rows.
        backend: "auto" takes the first that can; a backend called by name runs or raises.

    Raises:
        ShapeError: tensors that do not fit together.
        BackendError: an unknown backend, or a named one that cannot run this, with the reason.
    """
    problem = check(cell, x, weights, state, lengths, reverse, table)
    name = _choose(problem, backend)
    output, final = BACKENDS[name].run(problem)
    return Scan(output, final, name)


def _choose(problem: Problem, backend: str) -> str:
    if backend == "auto":
        return next(name for name, module in BACKENDS.items() if module.supports(problem) is None)
    if backend not in BACKENDS:
        raise BackendError(f"no backend is called {backend!r}; there are: auto, {', '.join(BACKENDS)}")
    reason = BACKENDS[backend].supports(problem)
    if reason is not None:
        raise BackendError(f"backend '{backend}' cannot run cell '{problem.cell}': {reason}")
    return backend
