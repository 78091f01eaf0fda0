"""The Numba source of a cell's pointwise work: forward, inference and backward, one row of D units after another.

The matrix products around it are the same for every cell and live in `ostinato.scan`; what is generated here is what
happens to a row between two products. What backward will need is kept as cheaply as possible: where a pre-activation
is used by one activation alone, the activation takes its place in memory.
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..cell import Cell, Gate
from ..expr import Expr, substitute, topological, variable
from .adjoint import adjoint
from .source import ARITHMETIC, statements

#: Operation -> Numba, on the vectors of `ostinato.scan.simd`.
NUMBA = ARITHMETIC | {
    "tanh": "tanh({})",
    "sigmoid": "sigmoid({})",
    "relu": "relu({})",
    "exp": "exp({})",
    "log": "log({})",
    "softplus": "softplus({})",
    "sqrt": "sqrt({})",
    "abs": "absolute({})",
    "maximum": "maximum({}, {})",
    "minimum": "minimum({}, {})",
    "compare": "compare({}, {})",
}

# Activations whose adjoint rule needs their result alone, never their argument.
_BY_RESULT = {"tanh", "sigmoid", "relu", "exp", "sqrt"}

# What the generated functions call their own: a gate, state or vector of the same name gets an underscore before it,
# with which no name of a definition begins.
_OWN = {"slots", "state", "kept", "output", "vectors", "sums", "units", "count", "state_plane", "kept_plane"}
_OWN |= {"output_gradient", "state_gradient", "gradient_plane", "load", "store", "absolute"}


@dataclass(frozen=True)
class Saved:
    """What forward leaves for backward: a node a slot, and the states whose previous value is kept."""

    slots: tuple[Expr, ...]
    states: tuple[str, ...]


def pointwise(cell: Cell) -> Cell:
    """The same cell with a diagonal recurrence written out: u * h is pointwise, and u is one more vector a gate."""
    if cell.recurrence != "diagonal":
        return cell
    output = variable(cell.states[0])
    vectors = {gate.name: f"weight_hh_{gate.name}" for gate in cell.recurrent_gates}
    written_out = {variable(g): variable(g) + variable(vector) * output for g, vector in vectors.items()}
    return dataclasses.replace(
        cell,
        gates=tuple(Gate(gate.name, "input") for gate in cell.gates),
        vectors=(*cell.vectors, *vectors.values()),
        recurrence="none",
        next_states=tuple(substitute(cell.next_states, written_out)),
    )


def saved(cell: Cell) -> Saved:
    """Choose what is saved. The previous output is always kept if the recurrence is dense: dU needs it."""
    slots = tuple(_saved_node(cell, slot.variable) for slot in cell.slots)
    needed = {node.name for node in topological(_leaving(cell, slots).values()) if node.op == "variable"}
    dense_output = cell.states[:1] if cell.recurrence == "dense" else ()
    return Saved(slots, tuple(s for s in cell.states if s in needed or s in dense_output))


def _saved_node(cell: Cell, slot: Expr) -> Expr:
    users = [node for node in topological(cell.next_states) if slot in node.args]
    by_result = len(users) == 1 and users[0].op in _BY_RESULT and slot not in cell.next_states
    return users[0] if by_result else slot


def _leaving(cell: Cell, slots: Sequence[Expr]) -> dict[str, Expr]:
    """name -> the gradient that leaves the step, every saved activation being a variable of its own."""
    gradients = adjoint(cell).gradients
    loaded = {node: variable(_saved_name(node)) for node in slots}
    return dict(zip(gradients, substitute(gradients.values(), loaded), strict=True))


def _saved_name(node: Expr) -> str:
    return node.name if node.op == "variable" else f"saved_{node.args[0].name}"


def kernel_source(cell: Cell) -> str:
    """The source of a module with the functions `forward`, `inference` and `backward` of `cell`."""
    cell = pointwise(cell)
    pieces = _Pieces(cell)
    functions = [
        pieces.forward_at("forward_at", keep=True),
        _rows("forward", _FORWARD),
        pieces.forward_at("inference_at", keep=False),
        _rows("inference", _FORWARD),
        pieces.backward_at(),
        _rows("backward", _BACKWARD),
    ]
    operations = {node.op for node in topological([*cell.next_states, *pieces.leaving.values()])}
    calls = {NUMBA[op].split("(")[0] for op in operations if op in NUMBA and op not in ARITHMETIC}
    imports = ", ".join(sorted({"advance", "load", "store", "width"} | calls))
    header = f'"""Pointwise forward and backward of the cell {cell.name}, generated from its definition."""'
    return (
        f"{header}\n\nfrom numba import njit\nfrom ostinato.scan.simd import {imports}\n\n\n"
        + "\n\n\n".join(functions)
        + "\n"
    )


class _Pieces:
    """The statements of one cell for one vector of one row."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.saved = saved(cell)
        self.leaving = _leaving(cell, self.saved.slots)
        inputs = [s.name for s in cell.slots] + list(cell.states) + list(cell.vectors)
        self.names = {name: f"_{name}" if name in _OWN else name for name in inputs}
        self.renamed = {variable(old): new for old, new in self.names.items()}

    def forward_at(self, function: str, *, keep: bool) -> str:
        cell = self.cell
        used = {node.name for node in topological(cell.next_states) if node.op == "variable"}
        used |= set(self.saved.states) if keep else set()
        loads = self.loads("slots", [s.name for s in cell.slots], "units", used)
        loads += self.loads("state", cell.states, "state_plane", used)
        loads += self.loads("vectors", cell.vectors, "units", used)
        new = {f"next_{name}": node for name, node in zip(cell.states, cell.next_states, strict=True)}
        activations = {_saved_name(node): node for node in self.saved.slots if node.op != "variable"} if keep else {}
        body = statements(activations | new, NUMBA, self.renamed)
        stores = []
        if keep:
            kept = [_saved_name(n) if n.op != "variable" else None for n in self.saved.slots]
            stores += [_store("slots", k, "units", name) for k, name in enumerate(kept) if name]
            stores += [_store("kept", k, "kept_plane", self.names[name]) for k, name in enumerate(self.saved.states)]
        stores += [_store("state", k, "state_plane", name) for k, name in enumerate(new)]
        stores.append(_store("output", 0, "", next(iter(new))))
        arguments = "slots, state, kept, output, vectors, state_plane, kept_plane, units, count"
        return _function(function, arguments, [*loads, *body, *stores])

    def backward_at(self) -> str:
        cell, leaving = self.cell, self.leaving
        used = {node.name for node in topological(leaving.values()) if node.op == "variable"}
        loads = self.loads("slots", [_saved_name(node) for node in self.saved.slots], "units", used)
        loads += self.loads("kept", self.saved.states, "kept_plane", used)
        loads += self.loads("vectors", cell.vectors, "units", used)
        arriving = [f"grad_{name}" for name in cell.states]
        loads += self.loads("state_gradient", arriving, "gradient_plane", set(arriving))
        loads.append(f"{arriving[0]} = {arriving[0]} + load(output_gradient, 0, count)")
        results = {("grad_previous_" if name in cell.states else "grad_") + name: g for name, g in leaving.items()}
        body = statements(results, NUMBA, self.renamed)
        stores = [_store("slots", k, "units", _or_zero(f"grad_{s.name}", results)) for k, s in enumerate(cell.slots)]
        stores += [
            _store("state_gradient", k, "gradient_plane", _or_zero(f"grad_previous_{name}", results))
            for k, name in enumerate(cell.states)
        ]
        summed = [f"grad_{s.name}" for s in cell.slots] + [f"grad_{name}" for name in cell.vectors]
        for k, name in enumerate(summed):
            if name in results:
                place = _offset(k, "units")
                stores.append(f"store(sums, {place}, count, load(sums, {place}, count) + {name})")
        arguments = (
            "slots, kept, output_gradient, state_gradient, vectors, sums, kept_plane, gradient_plane, units, count"
        )
        return _function("backward_at", arguments, [*loads, *body, *stores])

    def loads(self, pointer: str, names: Sequence[str], stride: str, used: set[str]) -> list[str]:
        return [
            f"{self.names.get(name, name)} = load({pointer}, {_offset(plane, stride)}, count)"
            for plane, name in enumerate(names)
            if name in used
        ]


def _store(pointer: str, plane: int, stride: str, value: str) -> str:
    return f"store({pointer}, {_offset(plane, stride)}, count, {value})"


def _or_zero(name: str, results: Mapping[str, Expr]) -> str:
    return name if name in results else "0.0"


def _offset(plane: int, stride: str) -> str:
    return "0" if plane == 0 else stride if plane == 1 else f"{plane} * {stride}"


def _function(name: str, arguments: str, lines: list[str]) -> str:
    return "\n".join(["@njit(forceinline=True)", f"def {name}({arguments}):", *(f"    {line}" for line in lines)])


# The arguments of the functions over rows: each pointer with its stride from row to row (0: the same for every row),
# then the strides from plane to plane.
_FORWARD = (
    {"slots": "slots_row", "state": "state_row", "kept": "units", "output": "units", "vectors": "0"},
    ["state_plane", "kept_plane"],
)
_BACKWARD = (
    {
        "slots": "slots_row",
        "kept": "units",
        "output_gradient": "units",
        "state_gradient": "gradient_row",
        "vectors": "0",
        "sums": "0",
    },
    ["kept_plane", "gradient_plane"],
)


def _rows(name: str, layout: tuple[dict[str, str], list[str]]) -> str:
    """The loop over rows and, in a row, over vectors; the last vector of a row may be a part of one."""
    rows, planes = layout
    moved = [f"advance({p}, d)" if step == "0" else f"advance({p}, r * {step} + d)" for p, step in rows.items()]
    row_strides = [step for step in rows.values() if step not in ("units", "0")]
    arguments = ", ".join([*rows, *row_strides, *planes, "rows", "units"])

    def call(count: str, indent: int) -> str:
        text = f"{name}_at({', '.join([*moved, *planes, 'units', count])})"
        return textwrap.fill(text, 120, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4))

    return "\n".join(
        [
            f"def {name}({arguments}):",
            "    whole = units - units % width(slots)",
            "    for r in range(rows):",
            "        for d in range(0, whole, width(slots)):",
            call("None", 12),
            "        if whole < units:",
            "            d = whole",
            call("units - whole", 12),
        ]
    )
