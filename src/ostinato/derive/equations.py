"""What there is to write about a cell: its equations and those of its adjoint, named as the field names them.

A gate with an activation lends it its name, `i = sigmoid(pre-activation)`; a new state is named after the state. What
is left and used more than once is called s1, s2 and so on, unless it is short.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import NamedTuple

from ..cell import Cell, Slot
from ..expr import Expr, topological, variable
from .adjoint import adjoint, gradients
from .notation import Notation, Symbol

Names = dict[Expr, Symbol]
#: The left and right sides of the equations that stand on one line.
Row = list[tuple[str, str]]

_ARITHMETIC = {"add", "sub", "mul", "div", "neg"}
_X = Symbol("x", time=0)


class Equation(NamedTuple):
    """`symbol = value`."""

    symbol: Symbol
    value: Expr


def forward(cell: Cell) -> tuple[list[Equation], Names]:
    """The body of the cell as equations, each after those that it needs, and the names of all nodes."""
    names = {slot.variable: pre_activation(slot) for slot in cell.slots}
    names |= {variable(state): Symbol(state, time=-1) for state in cell.states}
    names |= {variable(vector): Symbol(vector) for vector in cell.vectors}
    states = [Equation(Symbol(s, time=0), n) for s, n in zip(cell.states, cell.next_states, strict=True)]
    return _ordered(_activations(cell) + states, [], names), names


def backward(cell: Cell) -> tuple[list[Equation], Names]:
    """The gradients of the pre-activations, in terms of the gradients that arrive at the new states."""
    _, names = forward(cell)
    names |= {variable(f"grad_{state}"): Symbol(state, time=0, gradient="outer") for state in cell.states}
    found = adjoint(cell).gradients
    slots = [Equation(gradient_of(slot), found[slot.name]) for slot in cell.slots if slot.name in found]
    others = [found[name] for name in (*cell.states, *cell.vectors) if name in found]
    uses = _uses([e.value for e in slots] + others, names)
    return _ordered([e for e in _totals(cell) if uses[e.value] > 1] + slots, others, names), names


def pre_activation(slot: Slot) -> Symbol:
    """What a slot is called: the gate with a tilde, and its part if the gate is split."""
    return Symbol(slot.gate.name, time=0, tilde=True, part=_part(slot))


def gradient_of(slot: Slot) -> Symbol:
    """The gradient of the loss with respect to a pre-activation."""
    return replace(pre_activation(slot), gradient="inner")


def recurrence(cell: Cell, slot: Slot) -> str:
    """How the old output enters this slot: "dense", "diagonal" or "none"."""
    if slot.from_h:
        return "dense"
    return "diagonal" if cell.recurrence == "diagonal" and slot.gate.kind == "sum" else "none"


def weight(cell: Cell, name: str, slot: Slot, *, gradient: bool = False) -> Symbol:
    """W, U, u or b of a slot, or its gradient; the gate is named if there are several."""
    gate = slot.gate.name if len(cell.gates) > 1 else ""
    part = _part(slot) if name == "b" else ""
    return Symbol(name, gate=gate, part=part, gradient="outer" if gradient else None)


def _part(slot: Slot) -> str:
    return ("x" if slot.from_x else "h") if slot.gate.kind == "split" else ""


def _activations(cell: Cell) -> list[Equation]:
    """For each gate the first function on its way up, as long as nothing else uses it and no state is reached."""
    users: dict[Expr, list[Expr]] = {}
    for node in topological(cell.next_states):
        for argument in node.args:
            users.setdefault(argument, []).append(node)
    found: dict[str, Expr] = {}
    for slot in cell.slots:
        node = slot.variable
        while len(users.get(node, ())) == 1 and node not in cell.next_states:
            (node,) = users[node]
            if node.op not in _ARITHMETIC:
                break
        if node.args and node.op not in _ARITHMETIC and node not in cell.next_states and node not in found.values():
            found.setdefault(slot.gate.name, node)
    return [Equation(Symbol(gate.name, time=0), found[gate.name]) for gate in cell.gates if gate.name in found]


def _totals(cell: Cell) -> list[Equation]:
    """The whole gradient of each new state: what arrives, and what comes back from the other states of the step."""
    arriving = [variable(f"grad_{state}") for state in cell.states]
    totals = gradients(cell.next_states, arriving, cell.next_states)
    return [
        Equation(Symbol(state, time=0, gradient="inner"), total)
        for state, total in zip(cell.states, totals, strict=True)
        if total is not None and total.args
    ]


def _ordered(equations: list[Equation], others: list[Expr], names: Names) -> list[Equation]:
    """The equations, each after those that it needs, with one for every long node that is used again.

    `others` are values that are written elsewhere and share nodes with the equations. `names` grows.
    """
    own: Names = {}
    for symbol, value in equations:
        if value.args and value not in names:
            own.setdefault(value, symbol)
    uses = _uses([e.value for e in equations] + others, names | own)
    fresh = _free_symbols(names)
    result = []
    for symbol, value in [*equations, *((None, value) for value in others)]:
        for node in topological([value]):
            if node in own and node not in names:
                names[node] = own[node]
            elif node not in names and uses[node] > 1 and any(a.args and a not in names for a in node.args):
                names[node] = next(fresh)
            else:
                continue
            result.append(Equation(names[node], node))
        if symbol is not None and names.get(value) != symbol:
            result.append(Equation(symbol, value))
    return result


def _uses(values: Iterable[Expr], names: Names) -> Counter[Expr]:
    """How often each node is an argument when the values are written out down to the nodes that have names."""
    stack = list(dict.fromkeys(values))
    seen, uses = set(stack), Counter(stack)
    while stack:
        for argument in stack.pop().args:
            uses[argument] += 1
            if argument not in names and argument not in seen:
                seen.add(argument)
                stack.append(argument)
    return uses


def _free_symbols(names: Names) -> Iterator[Symbol]:
    taken = {symbol.name for symbol in names.values()}
    return (Symbol(f"s{n}", time=0) for n in itertools.count(1) if f"s{n}" not in taken)


def forward_rows(cell: Cell, notation: Notation) -> list[Row]:
    """The equations of one step."""
    writer = _Writer(cell, notation)
    equations, names = forward(cell)
    pre_activations = [[(notation.symbol(pre_activation(slot)), writer.affine(slot))] for slot in cell.slots]
    return pre_activations + writer.pointwise(equations, names)


def backward_rows(cell: Cell, notation: Notation) -> list[Row]:
    """The adjoint of one step, and the gradients of what the cell learns: of one slot on one row."""
    writer = _Writer(cell, notation)
    equations, names = backward(cell)
    rows = writer.pointwise(equations, names)
    rows.append([(notation.symbol(replace(_X, gradient="outer")), writer.gradient_of_x())])
    for state in cell.states:
        symbol = Symbol(state, time=-1, gradient="outer")
        rows.append([(notation.symbol(symbol), writer.gradient_of_state(state, names))])
    rows += [writer.gradients_of_weights(slot) for slot in writer.slots]
    return rows + [[writer.gradient_of_vector(v, names)] for v in cell.vectors if v in writer.found]


class _Writer:
    """The equations with matrices in them, which are no expressions."""

    def __init__(self, cell: Cell, notation: Notation) -> None:
        self.cell = cell
        self.notation = notation
        self.symbol = notation.symbol
        self.h = Symbol(cell.states[0], time=-1)
        self.found = adjoint(cell).gradients
        self.slots = [slot for slot in cell.slots if slot.name in self.found]

    def pointwise(self, equations: list[Equation], names: Names) -> list[Row]:
        return [[(self.symbol(s), self.notation.value(s, value, names))] for s, value in equations]

    def weight(self, name: str, slot: Slot, gradient: bool = False) -> str:
        return self.symbol(weight(self.cell, name, slot, gradient=gradient))

    def times(self, left: str, right: str) -> str:
        return self.notation.operations["mul"].format(left, right)

    def affine(self, slot: Slot) -> str:
        terms = []
        if slot.from_x:
            terms.append(f"{self.weight('W', slot)} {self.symbol(_X)}")
        if recurrence(self.cell, slot) == "dense":
            terms.append(f"{self.weight('U', slot)} {self.symbol(self.h)}")
        if recurrence(self.cell, slot) == "diagonal":
            terms.append(self.times(self.weight("u", slot), self.symbol(self.h)))
        return " + ".join([*terms, self.weight("b", slot)])

    def gradient_of_x(self) -> str:
        return " + ".join(self.back("W", slot) for slot in self.slots if slot.from_x) or "0"

    def gradient_of_state(self, state: str, names: Names) -> str:
        terms = [self.notation.formula(self.found[state], names)] if state in self.found else []
        if state == self.cell.states[0]:
            for slot in self.slots:
                if recurrence(self.cell, slot) == "dense":
                    terms.append(self.back("U", slot))
                if recurrence(self.cell, slot) == "diagonal":
                    terms.append(self.times(self.weight("u", slot), self.symbol(gradient_of(slot))))
        return " + ".join(terms) or "0"

    def back(self, weight: str, slot: Slot) -> str:
        """A gradient sent back through a matrix."""
        return f"{self.notation.transpose.format(self.weight(weight, slot))} {self.symbol(gradient_of(slot))}"

    def gradients_of_weights(self, slot: Slot) -> Row:
        grad = self.symbol(gradient_of(slot))
        transposed = self.notation.transpose.format
        sums = [("W", f"{grad} {transposed(self.symbol(_X))}")] if slot.from_x else []
        if recurrence(self.cell, slot) == "dense":
            sums.append(("U", f"{grad} {transposed(self.symbol(self.h))}"))
        if recurrence(self.cell, slot) == "diagonal":
            sums.append(("u", self.times(grad, self.symbol(self.h))))
        sums.append(("b", grad))
        return [(self.weight(name, slot, gradient=True), self.notation.total.format(term)) for name, term in sums]

    def gradient_of_vector(self, vector: str, names: Names) -> tuple[str, str]:
        term = self.notation.formula(self.found[vector], names)
        return self.symbol(Symbol(vector, gradient="outer")), self.notation.total.format(f"({term})")
