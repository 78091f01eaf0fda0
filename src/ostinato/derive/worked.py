"""A worked example: two units, two steps, forward and backward, every number computed from the graph.

As in the course a state is a row, `H_t = tanh(X_t W + H_{t-1} U + b)`, W is [M, D]: torch's `weight_ih` is its
transpose. Every gate has the same W, U and b, also both parts of a split gate; a diagonal U and every vector is a
constant; the initial states are 0, and the loss is the sum of the last output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..cell import Cell, Slot
from ..expr import Expr, variable
from .adjoint import adjoint
from .equations import forward, recurrence, weight
from .evaluate import evaluate
from .notation import Symbol
from .text import notation

X = np.array([[1.0, 0.0], [0.0, 2.0]])
W = np.array([[0.1, 0.2], [0.1, 0.2]])
U = np.array([[0.0, 0.1], [0.1, 0.0]])
B = np.array([0.1, 0.1])
DIAGONAL = np.array([0.1, 0.1])
VECTOR = np.array([0.1, 0.1])

Values = dict[Expr, np.ndarray]


@dataclass(frozen=True)
class Worked:
    """The numbers of the example.

    Attributes:
        forward: for each step the value of every node, the pre-activations, old states and vectors among them.
        backward: for each step the value of every node of the adjoint, the arriving gradients among them.
        initial: the gradient of each initial state.
        gradients: of what the cell learns, summed over the steps: W is [M, D], U is [D, D], the others [D].
    """

    cell: Cell
    forward: tuple[Values, ...]
    backward: tuple[Values, ...]
    initial: dict[str, np.ndarray]
    gradients: dict[Symbol, np.ndarray]


@np.errstate(all="ignore")
def work(cell: Cell) -> Worked:
    """Run the example through `cell`."""
    steps = _forward(cell)
    arriving = {state: np.zeros_like(B) for state in cell.states} | {cell.states[0]: np.ones_like(B)}
    backward: list[Values] = []
    gradients: dict[Symbol, np.ndarray] = {}
    for x, values in zip(X[::-1], steps[::-1], strict=True):
        grads = _backward_step(cell, values, arriving)
        for symbol, gradient in _learned(cell, x, values, grads):
            gradients[symbol] = gradients.get(symbol, 0.0) + gradient
        arriving = {state: _gradient_of_state(cell, state, grads) for state in cell.states}
        backward.insert(0, grads)
    ordered = {symbol: gradients[symbol] for symbol, _ in _learned(cell, X[0], steps[0], backward[0])}
    return Worked(cell, tuple(steps), tuple(backward), arriving, ordered)


def as_dict(worked: Worked) -> dict[str, Any]:
    """The numbers as dictionaries and lists: slots, gates, states and vectors by their names."""
    cell = worked.cell
    equations, _ = forward(cell)
    named = {"W": W, "U": U, "u": DIAGONAL, "b": B, "vectors": VECTOR, "x": X}
    given = {name: value.tolist() for name, value in named.items()}
    steps = [
        {
            "before": {state: _listed(values[variable(state)]) for state in cell.states},
            "pre_activations": {slot.name: _listed(values[slot.variable]) for slot in cell.slots},
            "values": {equation.symbol.name: _listed(values[equation.value]) for equation in equations},
            "arriving": {state: _listed(grads[variable(f"grad_{state}")]) for state in cell.states},
            "gradients": {slot.name: _listed(_gradient_of(cell, slot.name, grads)) for slot in cell.slots},
        }
        for values, grads in zip(worked.forward, worked.backward, strict=True)
    ]
    symbol = notation(ascii=True).symbol
    return {
        "given": given,
        "steps": steps,
        "initial_gradients": {state: _listed(gradient) for state, gradient in worked.initial.items()},
        "gradients": {symbol(replace(s, gradient=None)): value.tolist() for s, value in worked.gradients.items()},
    }


def _listed(value: np.ndarray) -> list[float]:
    return np.broadcast_to(value, B.shape).tolist()


def factors(cell: Cell, slot: Slot, x: np.ndarray, h: np.ndarray, unit: int) -> list[tuple[float, float]]:
    """The products that make up one number of a pre-activation, before the bias: (of x or h, of a weight)."""
    pairs = list(zip(x, W[:, unit], strict=True)) if slot.from_x else []
    if recurrence(cell, slot) == "dense":
        pairs += zip(h, U[:, unit], strict=True)
    if recurrence(cell, slot) == "diagonal":
        pairs.append((h[unit], DIAGONAL[unit]))
    return [(float(a), float(b)) for a, b in pairs]


def _forward(cell: Cell) -> list[Values]:
    state = {name: np.zeros_like(B) for name in cell.states}
    steps = []
    for x in X:
        h = state[cell.states[0]]
        given = {slot.name: _pre_activation(cell, slot, x, h) for slot in cell.slots}
        given |= state | dict.fromkeys(cell.vectors, VECTOR)
        values = evaluate([*map(variable, given), *cell.next_states], given)
        state = {
            name: np.broadcast_to(values[node], B.shape)
            for name, node in zip(cell.states, cell.next_states, strict=True)
        }
        steps.append(values)
    return steps


def _pre_activation(cell: Cell, slot: Slot, x: np.ndarray, h: np.ndarray) -> np.ndarray:
    sums = [sum(a * b for a, b in factors(cell, slot, x, h, unit)) for unit in range(len(B))]
    return np.array(sums) + B


def _backward_step(cell: Cell, values: Values, arriving: dict[str, np.ndarray]) -> Values:
    given = {node.name: value for node, value in values.items() if node.op == "variable"}
    given |= {f"grad_{state}": gradient for state, gradient in arriving.items()}
    found = adjoint(cell).gradients
    return evaluate([*map(variable, given), *found.values()], given)


def _gradient_of(cell: Cell, name: str, grads: Values) -> np.ndarray:
    node = adjoint(cell).gradients.get(name)
    return np.zeros_like(B) if node is None else grads[node]


def _gradient_of_state(cell: Cell, state: str, grads: Values) -> np.ndarray:
    """Of an old state: the pointwise part, and for the output what comes back through U."""
    total = _gradient_of(cell, state, grads)
    if state == cell.states[0]:
        for slot in cell.slots:
            delta = _gradient_of(cell, slot.name, grads)
            if recurrence(cell, slot) == "dense":
                total = total + delta @ U.T
            if recurrence(cell, slot) == "diagonal":
                total = total + delta * DIAGONAL
    return total


def _learned(cell: Cell, x: np.ndarray, values: Values, grads: Values) -> list[tuple[Symbol, np.ndarray]]:
    """What one step adds to the gradients of the weights, biases and vectors."""
    h = values[variable(cell.states[0])]
    found = []
    for slot in cell.slots:
        delta = _gradient_of(cell, slot.name, grads)
        if slot.from_x:
            found.append(("W", slot, np.outer(x, delta)))
        if recurrence(cell, slot) == "dense":
            found.append(("U", slot, np.outer(h, delta)))
        if recurrence(cell, slot) == "diagonal":
            found.append(("u", slot, h * delta))
        found.append(("b", slot, delta))
    learned = [(weight(cell, name, slot, gradient=True), gradient) for name, slot, gradient in found]
    vectors = [(Symbol(v, gradient="outer"), _gradient_of(cell, v, grads)) for v in cell.vectors]
    return learned + vectors
