"""The worked example as a text to follow by hand."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..cell import Cell, Slot
from ..expr import topological, variable
from . import equations
from .adjoint import adjoint
from .equations import Equation, gradient_of, pre_activation, recurrence
from .notation import Symbol
from .text import WIDTH, equation, notation, padded, printed_width, to_ascii
from .worked import DIAGONAL, VECTOR, B, U, Values, W, Worked, X, factors, work

_COLUMN = 11
_LABEL = WIDTH - 2 * _COLUMN


def worked_text(cell: Cell, *, ascii: bool = False) -> str:
    """The example of `worked`, forward and backward, every number in its place."""
    worked = work(cell)
    steps = [_Step(worked, step, ascii) for step in range(len(X))]
    blocks = [_setting(cell), *(step.forward() for step in steps), *(step.backward() for step in reversed(steps))]
    text = "\n\n".join([*blocks, _learned(worked, ascii)])
    return to_ascii(text) if ascii else text


def _setting(cell: Cell) -> str:
    """The numbers that the example starts from."""
    kinds = {recurrence(cell, slot) for slot in cell.slots}
    given = [("W", W)] + [("U", U)] * ("dense" in kinds) + [("u", DIAGONAL)] * ("diagonal" in kinds) + [("b", B)]
    zero = np.zeros_like(B)
    lines = [
        "   ".join(f"{name} = {_exact(value)}" for name, value in given),
        *(f"{name} = {_exact(VECTOR)}" for name in cell.vectors),
        "   ".join([f"x₁ = {_exact(X[0])}", f"x₂ = {_exact(X[1])}", *(f"{s}₀ = {_exact(zero)}" for s in cell.states)]),
        "Here a state is a row, as one writes by hand: x W, where the equations above",
        "have W x; torch's weight_ih is Wᵀ. The loss is the sum of the numbers of",
        f"{cell.states[0]}₂, so its gradient with respect to each of them is 1.",
    ]
    if len(cell.gates) > 1:
        lines.append("Every gate has the same weights.")
    return "\n".join(lines)


class _Step:
    """One step of the example, forward and backward."""

    def __init__(self, worked: Worked, step: int, ascii: bool) -> None:
        self.cell = worked.cell
        self.x = X[step]
        self.values = worked.forward[step]
        self.grads = worked.backward[step]
        last = step == len(X) - 1
        self.arriving = list(worked.cell.states) if last else []
        self.before = worked.initial if step == 0 else _arriving(worked, step - 1)
        self.number = step + 1
        self.notation = notation(ascii=ascii, step=step + 1)
        self.symbol = self.notation.symbol

    def forward(self) -> str:
        lines = [_heading(f"Step {self.number}")]
        for slots in _alike(self.cell):
            lines += self.pre_activation(slots)
        found, names = equations.forward(self.cell)
        shown = set(names)
        for symbol, node in found:
            for inner in topological([node]):
                if inner.args and inner not in shown and inner is not node:
                    lines += _row(f"  {self.notation.formula(inner, names)}", self.values[inner])
                    shown.add(inner)
            lines += self.rows([Equation(symbol, node)], names, self.values)
        return "\n".join(lines)

    def pre_activation(self, slots: list[Slot]) -> list[str]:
        """The sums of products behind pre-activations that all have the same numbers."""
        first = slots[0]
        h = Symbol(self.cell.states[0], time=-1)
        sums = [f"{self.symbol(Symbol('x', time=0))} W"] if first.from_x else []
        sums += {"dense": [f"{self.symbol(h)} U"], "diagonal": [f"{self.symbol(h)} ⊙ u"]}.get(
            recurrence(self.cell, first), []
        )
        left = " = ".join(self.symbol(pre_activation(slot)) for slot in slots)
        lines = [equation(left, " + ".join([*sums, "b"]))]
        total = self.values[first.variable]
        for unit, bias in enumerate(B):
            pairs = factors(self.cell, first, self.x, self.values[variable(self.cell.states[0])], unit)
            products = [f"{_short(a)}·{_short(b)}" for a, b in pairs]
            lines.append(f"  unit {unit + 1}: {' + '.join([*products, _short(bias)])} = {total[unit]:.6f}")
        return lines

    def backward(self) -> str:
        lines = [_heading(f"Back through step {self.number}")]
        for state in self.arriving:
            arriving = Symbol(state, time=0, gradient="outer")
            lines += _row(self.symbol(arriving), self.grads[variable(f"grad_{state}")])
        found, names = equations.backward(self.cell)
        lines += self.rows(found, names, self.grads)
        for state, gradient in self.before.items():
            left = self.symbol(Symbol(state, time=-1, gradient="outer"))
            lines += _row(f"{left} = {self.gradient_of_state(state, names)}", gradient)
        return "\n".join(lines)

    def gradient_of_state(self, state: str, names: equations.Names) -> str:
        found = adjoint(self.cell).gradients
        terms = [self.notation.formula(found[state], names)] if state in found else []
        for kind, form in (("dense", "{} Uᵀ"), ("diagonal", "{} ⊙ u")):
            slots = [s for s in self.cell.slots if recurrence(self.cell, s) == kind and s.name in found]
            if slots and state == self.cell.states[0]:
                deltas = " + ".join(self.symbol(gradient_of(slot)) for slot in slots)
                terms.append(form.format(f"({deltas})" if len(slots) > 1 else deltas))
        return " + ".join(terms) or "0"

    def rows(self, found: Iterable[Equation], names: equations.Names, values: Values) -> list[str]:
        lines = []
        for symbol, node in found:
            lines += _row(f"{self.symbol(symbol)} = {self.notation.value(symbol, node, names)}", values[node])
        return lines


def _arriving(worked: Worked, step: int) -> dict[str, np.ndarray]:
    return {state: worked.backward[step][variable(f"grad_{state}")] for state in worked.cell.states}


def _alike(cell: Cell) -> list[list[Slot]]:
    """The slots in groups that the same terms feed."""
    groups: dict[tuple[bool, str], list[Slot]] = {}
    for slot in cell.slots:
        groups.setdefault((slot.from_x, recurrence(cell, slot)), []).append(slot)
    return list(groups.values())


def _learned(worked: Worked, ascii: bool) -> str:
    """The gradients of what the cell learns; a matrix with its rows side by side."""
    symbol = notation(ascii=ascii).symbol
    labels = {symbol(s): gradient for s, gradient in worked.gradients.items()}
    width = max(map(printed_width, labels))
    rows = [
        f"{padded(label, width)}{' |'.join(_numbers(row) for row in np.atleast_2d(gradient))}"
        for label, gradient in labels.items()
    ]
    return "\n".join(["Summed over both steps; a matrix row by row", *rows])


def _heading(title: str) -> str:
    return padded(title, _LABEL) + "".join(f"{f'unit {unit + 1}':>{_COLUMN}}" for unit in range(len(B)))


def _row(label: str, values: np.ndarray) -> list[str]:
    """A label and its two numbers; a label that is too long stands on lines of its own."""
    numbers = _numbers(np.broadcast_to(values, B.shape))
    if printed_width(label) < _LABEL:
        return [padded(label, _LABEL) + numbers]
    left, _, right = label.partition(" = ")
    return [equation(left, right), " " * _LABEL + numbers]


def _numbers(values: np.ndarray) -> str:
    return "".join(f"{value:{_COLUMN}.6f}" for value in values)


def _short(value: float) -> str:
    """At most six decimals, without the zeros at the end; in brackets if negative."""
    text = f"{value:.6f}".rstrip("0").rstrip(".")
    return f"({text})" if value < 0 else text


def _exact(values: np.ndarray) -> str:
    if values.ndim == 2:
        return f"[{' '.join(_exact(row) for row in values)}]"
    return f"({', '.join(_short(value) for value in values)})"
