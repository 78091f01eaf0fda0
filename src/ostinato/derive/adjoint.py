"""The adjoint of a cell by reverse accumulation: one rule an operation; no cell has a hand-written backward."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..cell import Cell
from ..expr import Expr, apply, compare, sigmoid, topological, variable

Rule = Callable[..., tuple[Expr | None, ...]]


def _larger(g: Expr, a: Expr, b: Expr) -> Expr:
    """g where a > b, g / 2 where they are equal, 0 elsewhere."""
    return g * (0.5 + 0.5 * compare(a, b))


#: Operation -> rule(g, y, *args): the gradients of the arguments, given the gradient g of the result y.
#: A rule uses y where it can, so that a saved result saves its computation.
RULES: dict[str, Rule] = {
    "add": lambda g, y, a, b: (g, g),
    "sub": lambda g, y, a, b: (g, -g),
    "mul": lambda g, y, a, b: (g * b, g * a),
    "div": lambda g, y, a, b: (g / b, -(g * y / b)),
    "neg": lambda g, y, a: (-g,),
    "tanh": lambda g, y, a: (g * (1 - y * y),),
    "sigmoid": lambda g, y, a: (g * (y * (1 - y)),),
    "relu": lambda g, y, a: (g * compare(y, 0.0),),
    "exp": lambda g, y, a: (g * y,),
    "log": lambda g, y, a: (g / a,),
    "softplus": lambda g, y, a: (g * sigmoid(a),),
    "sqrt": lambda g, y, a: (g * (0.5 / y),),
    "abs": lambda g, y, a: (g * compare(a, 0.0),),
    "maximum": lambda g, y, a, b: (_larger(g, a, b), _larger(g, b, a)),
    "minimum": lambda g, y, a, b: (_larger(g, b, a), _larger(g, a, b)),
    "compare": lambda g, y, a, b: (None, None),
}


@dataclass(frozen=True)
class Adjoint:
    """The backward pass of one step.

    Attributes:
        gradients: for the name of each slot, state and vector the gradient of the loss with respect to it, an
            expression of the cell's own variables and of `grad_<state>`, the gradients that arrive at the new states.
            A name that is absent has no gradient.
    """

    cell: Cell
    gradients: dict[str, Expr]


@functools.cache
def adjoint(cell: Cell) -> Adjoint:
    """Differentiate one step of `cell` in reverse."""
    arriving = [variable(f"grad_{state}") for state in cell.states]
    inputs = [s.variable for s in cell.slots] + [variable(name) for name in (*cell.states, *cell.vectors)]
    found = gradients(cell.next_states, arriving, inputs)
    return Adjoint(cell, {v.name: g for v, g in zip(inputs, found, strict=True) if g is not None})


def gradients(outputs: Iterable[Expr], arriving: Iterable[Expr], inputs: Iterable[Expr]) -> list[Expr | None]:
    """The gradient of sum(arriving * outputs) with respect to each input; None where there is none."""
    outputs = list(outputs)
    gradient: dict[Expr, Expr] = {}
    for output, g in zip(outputs, arriving, strict=True):
        _accumulate(gradient, output, g)
    for node in reversed(list(topological(outputs))):
        if node in gradient and node.args:
            for argument, g in zip(node.args, RULES[node.op](gradient[node], node, *node.args), strict=True):
                if g is not None and argument.op != "constant":
                    _accumulate(gradient, argument, g)
    return [gradient.get(node) for node in inputs]


def _accumulate(gradient: dict[Expr, Expr], node: Expr, g: Expr) -> None:
    gradient[node] = apply("add", gradient[node], g) if node in gradient else g
