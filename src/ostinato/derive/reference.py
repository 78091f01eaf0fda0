"""The PyTorch reference of a cell: one step as readable source, compiled from the definition.

It runs in any dtype on any device and can be differentiated any number of times: the truth for every test.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from ..cell import Cell
from .source import ARITHMETIC, statements

#: Operation -> PyTorch.
TORCH = ARITHMETIC | {
    "tanh": "torch.tanh({})",
    "sigmoid": "torch.sigmoid({})",
    "relu": "torch.relu({})",
    "exp": "torch.exp({})",
    "log": "torch.log({})",
    "softplus": "torch.nn.functional.softplus({}, threshold=50)",
    "sqrt": "torch.sqrt({})",
    "abs": "torch.abs({})",
    "maximum": "maximum({}, {})",
    "minimum": "minimum({}, {})",
    "compare": "compare({}, {})",
}


def step_source(cell: Cell) -> str:
    """`def lstm_step(i, f, g, o, h, c): ...` as text: the new states from slots, states and vectors."""
    arguments = [s.name for s in cell.slots] + list(cell.states) + list(cell.vectors)
    new = {f"next_{name}": node for name, node in zip(cell.states, cell.next_states, strict=True)}
    body = statements(new, TORCH)
    doc = cell.doc.splitlines()[0] if cell.doc else f"One step of {cell}."
    lines = [
        f"def {cell.name}_step({', '.join(arguments)}):",
        f"    {doc!r}" if '"' in doc or "\\" in doc else f'    """{doc}"""',
        *(f"    {line}" for line in body),
        f"    return {', '.join(new)}" + ("," if len(new) == 1 else ""),
    ]
    return "\n".join(lines) + "\n"


@functools.cache
def step(cell: Cell) -> Callable[..., tuple[Tensor, ...]]:
    """The compiled `step_source`."""
    namespace: dict = {"torch": torch, "maximum": _maximum, "minimum": _minimum, "compare": _compare}
    exec(compile(step_source(cell), f"<{cell.name} reference>", "exec"), namespace)
    return namespace[f"{cell.name}_step"]


def _tensors(a: Tensor | float, b: Tensor | float) -> tuple[Tensor, Tensor]:
    if not isinstance(a, Tensor):
        assert isinstance(b, Tensor)
        return torch.full_like(b, a), b
    return a, b if isinstance(b, Tensor) else torch.full_like(a, b)


def _maximum(a: Tensor | float, b: Tensor | float) -> Tensor:
    return torch.maximum(*_tensors(a, b))


def _minimum(a: Tensor | float, b: Tensor | float) -> Tensor:
    return torch.minimum(*_tensors(a, b))


def _compare(a: Tensor | float, b: Tensor | float) -> Tensor:
    a, b = _tensors(a, b)
    return (a > b).to(a) - (a < b).to(a)
