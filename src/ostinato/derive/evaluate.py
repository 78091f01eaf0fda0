"""The value of an expression in numbers: NumPy in float64, one line an operation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from ..expr import Expr, topological

#: Operation -> NumPy.
NUMBERS: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "neg": np.negative,
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.maximum(x, 0.0),
    "exp": np.exp,
    "log": np.log,
    "softplus": lambda x: np.logaddexp(0.0, x),
    "sqrt": np.sqrt,
    "abs": np.abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "compare": lambda a, b: np.greater(a, b) * 1.0 - np.less(a, b),
}


def evaluate(outputs: Iterable[Expr], variables: Mapping[str, ArrayLike]) -> dict[Expr, np.ndarray]:
    """The value of every node that the outputs need, the outputs among them.

    Args:
        outputs: what to compute.
        variables: a number or an array for the name of each variable; the shapes broadcast.

    Raises:
        KeyError: a variable has no value.
    """
    values: dict[Expr, np.ndarray] = {}
    with np.errstate(all="ignore"):
        for node in topological(outputs):
            if node.op == "variable":
                values[node] = np.asarray(variables[node.name], dtype=np.float64)
            elif node.op == "constant":
                values[node] = np.asarray(node.value)
            else:
                values[node] = NUMBERS[node.op](*(values[a] for a in node.args))
    return values
