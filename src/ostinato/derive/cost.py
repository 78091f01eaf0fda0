"""What a scan has to do at the least: floating-point operations and bytes, counted from the graph.

Two bounds, each for itself; a kernel may trade one against the other.

Operations. A product of [m, k] and [k, n] counts 2mkn: its first addition is that of the bias, or of the other product.
Every node of the body counts one operation a number, and every node of the adjoint that is not a node of the body
already: nothing is computed twice. Sums over time, of biases and vectors, count one addition. tanh, sigmoid, exp, log
and softplus are counted apart, since one of them costs as much as 10 to 30 others.

Bytes. What goes in is read once and what comes out is written once, however large the caches; every network of a
population has its own x. For backward the smaller of two sets is kept: what the adjoint reads of the forward pass, or a
number a slot and a number a state, from which all else follows. The output is there anyway. Backward reads x, the
weights, the output, what was kept and the arriving gradients, and writes a gradient for everything that forward read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..cell import Cell
from ..errors import ShapeError
from ..expr import Expr, topological, variable
from .adjoint import adjoint

TRANSCENDENTAL = frozenset({"tanh", "sigmoid", "exp", "log", "softplus"})


@dataclass(frozen=True)
class Work:
    """One direction. `products`, `pointwise` and `transcendental` are operations, `bytes` what moves."""

    products: int
    pointwise: int
    transcendental: int
    bytes: int

    @property
    def operations(self) -> int:
        """All of them, a transcendental function counting as one."""
        return self.products + self.pointwise + self.transcendental

    def __add__(self, other: Work) -> Work:
        return Work(
            self.products + other.products,
            self.pointwise + other.pointwise,
            self.transcendental + other.transcendental,
            self.bytes + other.bytes,
        )


@dataclass(frozen=True)
class Cost:
    """The work of a forward pass that keeps what its backward pass needs, and of that backward pass."""

    forward: Work
    backward: Work

    @property
    def total(self) -> Work:
        """Both passes."""
        return self.forward + self.backward


def cost(
    cell: Cell,
    *,
    population: int = 1,
    steps: int,
    batch: int,
    input_size: int,
    hidden_size: int,
    dtype_bytes: int = 4,
) -> Cost:
    """Count the work of one scan of `population` networks over `batch` sequences of `steps` steps.

    Raises:
        ShapeError: a size is negative.
    """
    sizes = {"population": population, "steps": steps, "batch": batch, "input_size": input_size}
    for name, size in (sizes | {"hidden_size": hidden_size, "dtype_bytes": dtype_bytes}).items():
        if size < 0:
            raise ShapeError(f"{name} is {size}; a size is 0 or more")
    rows = population * steps * batch
    units = rows * hidden_size
    gates, recurrent, slots, states = len(cell.gates), len(cell.recurrent_gates), len(cell.slots), len(cell.states)
    dense, diagonal = cell.recurrence == "dense", cell.recurrence == "diagonal"

    products = 2 * units * (gates * input_size + dense * recurrent * hidden_size)
    body = {node for node in topological(cell.next_states) if node.args}
    reverse = {node for node in topological(adjoint(cell).gradients.values()) if node.args} - body
    scaled = 2 * diagonal * recurrent
    sums = slots + len(cell.vectors)
    meeting = 1  # the gradient of the output and the one from the next step

    weights = gates * input_size + recurrent * (dense * hidden_size + diagonal) + gates + recurrent + len(cell.vectors)
    given = rows * input_size + population * hidden_size * (weights + batch * states)
    kept = units * min(slots + states - 1, len(_read(cell, reverse, body)))
    final = population * batch * hidden_size * states
    return Cost(
        forward=Work(
            products=products,
            pointwise=units * (_plain(body) + scaled),
            transcendental=units * (len(body) - _plain(body)),
            bytes=dtype_bytes * (given + units + final + kept),
        ),
        backward=Work(
            products=2 * products,
            pointwise=units * (_plain(reverse) + 2 * scaled + sums + meeting),
            transcendental=units * (len(reverse) - _plain(reverse)),
            bytes=dtype_bytes * (2 * given + 2 * units + final + kept),
        ),
    )


def _read(cell: Cell, reverse: set[Expr], body: set[Expr]) -> set[Expr]:
    """What the adjoint reads of the forward pass, but for the output."""
    changing = {slot.variable for slot in cell.slots} | {variable(state) for state in cell.states} | body
    read = {argument for node in reverse for argument in node.args}
    return (read & changing) - {cell.next_states[0], variable(cell.states[0])}


def _plain(nodes: Iterable[Expr]) -> int:
    return sum(node.op not in TRANSCENDENTAL for node in nodes)
