"""Pointwise arithmetic as data: a closed set of operations, traced from ordinary Python.

An `Expr` is a node of a graph. Arithmetic on nodes makes new nodes, and equal nodes are the same object, so a
common sub-expression is shared by construction:

    >>> f, c = variable("f"), variable("c")
    >>> sigmoid(f) * c is sigmoid(f) * c
    True

Every table that works on expressions (an adjoint rule, a line of source, a LaTeX form) has exactly the keys of
`OPERATIONS`; a test holds that.
"""

from __future__ import annotations

import math
import os
import threading
import weakref
from collections.abc import Iterable, Iterator
from typing import NoReturn

#: The closed set: name of the operation -> number of arguments.
OPERATIONS: dict[str, int] = {
    "add": 2,
    "sub": 2,
    "mul": 2,
    "div": 2,
    "neg": 1,
    "tanh": 1,
    "sigmoid": 1,
    "relu": 1,
    "exp": 1,
    "log": 1,
    "softplus": 1,
    "sqrt": 1,
    "abs": 1,
    "maximum": 2,
    "minimum": 2,
    "compare": 2,
}

Number = int | float


class Expr:
    """One node: an operation and its arguments, a named variable, or a constant. Immutable, compared by identity."""

    __slots__ = ("__weakref__", "args", "name", "op", "value")

    op: str
    args: tuple[Expr, ...]
    name: str
    value: float

    def __init__(self) -> None:
        raise TypeError("make expressions with variable(), constant() and the operations, not with Expr()")

    def __add__(self, other: Expr | Number) -> Expr:
        return apply("add", self, other)

    def __radd__(self, other: Number) -> Expr:
        return apply("add", other, self)

    def __sub__(self, other: Expr | Number) -> Expr:
        return apply("sub", self, other)

    def __rsub__(self, other: Number) -> Expr:
        return apply("sub", other, self)

    def __mul__(self, other: Expr | Number) -> Expr:
        return apply("mul", self, other)

    def __rmul__(self, other: Number) -> Expr:
        return apply("mul", other, self)

    def __truediv__(self, other: Expr | Number) -> Expr:
        return apply("div", self, other)

    def __rtruediv__(self, other: Number) -> Expr:
        return apply("div", other, self)

    def __neg__(self) -> Expr:
        return apply("neg", self)

    def __abs__(self) -> Expr:
        return apply("abs", self)

    def __pow__(self, exponent: object) -> NoReturn:
        raise TypeError(f"** is not one of the pointwise operations; for a square write x * x (exponent {exponent!r})")

    def __bool__(self) -> NoReturn:
        raise TypeError("a cell cannot branch on a value: use maximum, minimum or relu instead of if, and, or, not")

    def _no_order(self, other: object) -> NoReturn:
        raise TypeError(f"a cell cannot compare values ({other!r}): use maximum, minimum or relu")

    __lt__ = __le__ = __gt__ = __ge__ = _no_order

    def __eq__(self, other: object) -> bool:
        return self is other if isinstance(other, Expr) else self._no_order(other)

    __hash__ = object.__hash__

    def __float__(self) -> NoReturn:
        raise TypeError("a value has no number while a cell is traced: use the functions of ostinato.expr, not of math")

    def __reduce__(self) -> tuple:
        return _intern, (self.op, self.args, self.name, self.value)  # a copy is the node itself

    def __repr__(self) -> str:
        if self.op == "variable":
            return self.name
        if self.op == "constant":
            return repr(self.value)
        return f"{self.op}({', '.join(map(repr, self.args))})"


# Arguments are interned already, so a key of identities is a key of structure. A node keeps its arguments alive.
_interned: weakref.WeakValueDictionary[tuple, Expr] = weakref.WeakValueDictionary()
_lock = threading.Lock()


def _new_lock() -> None:
    """A child process inherits a lock as it was; whoever held it is not there any more."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def _intern(op: str, args: tuple[Expr, ...] = (), name: str = "", value: float = 0.0) -> Expr:
    key = (op, args, name, repr(value))  # repr: -0.0 and 0.0 differ, and a NaN equals itself
    with _lock:
        node = _interned.get(key)
        if node is None:
            node = object.__new__(Expr)
            node.op, node.args, node.name, node.value = op, args, name, value
            _interned[key] = node
        return node


def variable(name: str) -> Expr:
    """A named input of the graph."""
    return _intern("variable", name=name)


def constant(value: Number) -> Expr:
    """A number. Raises TypeError for anything else, and for NaN."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"a constant is an int or a float, not {type(value).__name__} ({value!r})")
    if not math.isfinite(value):
        raise TypeError(f"a constant of a cell is a finite number, not {value!r}")
    return _intern("constant", value=float(value))


def apply(op: str, *args: Expr | Number) -> Expr:
    """The node `op(*args)`; numbers become constants. Raises KeyError for an operation outside the set."""
    if len(args) != OPERATIONS[op]:
        raise TypeError(f"{op} takes {OPERATIONS[op]} argument(s), got {len(args)}")
    nodes = tuple(a if isinstance(a, Expr) else constant(_number(op, a)) for a in args)
    if all(node.op == "constant" for node in nodes):
        raise TypeError(f"{op}({', '.join(map(repr, nodes))}) is a number: compute it with math and write the result")
    return _intern(op, nodes)


def _number(op: str, value: object) -> Number:
    if isinstance(value, bool) or not isinstance(value, int | float):
        detail = value if isinstance(value, type) or callable(value) else repr(value)
        raise TypeError(f"{op} takes gates, states, vectors and numbers, not {type(value).__name__} ({detail})")
    return value


def tanh(x: Expr) -> Expr:
    """Hyperbolic tangent."""
    return apply("tanh", x)


def sigmoid(x: Expr) -> Expr:
    """Logistic function 1 / (1 + exp(-x))."""
    return apply("sigmoid", x)


def relu(x: Expr) -> Expr:
    """max(x, 0); its derivative at 0 is 0."""
    return apply("relu", x)


def exp(x: Expr) -> Expr:
    """Exponential function."""
    return apply("exp", x)


def log(x: Expr) -> Expr:
    """Natural logarithm."""
    return apply("log", x)


def softplus(x: Expr) -> Expr:
    """log(1 + exp(x))."""
    return apply("softplus", x)


def sqrt(x: Expr) -> Expr:
    """Square root."""
    return apply("sqrt", x)


def maximum(a: Expr | Number, b: Expr | Number) -> Expr:
    """The larger of the two; where they are equal each gets half of the derivative, as in torch."""
    return apply("maximum", a, b)


def minimum(a: Expr | Number, b: Expr | Number) -> Expr:
    """The smaller of the two; where they are equal each gets half of the derivative, as in torch."""
    return apply("minimum", a, b)


def compare(a: Expr | Number, b: Expr | Number) -> Expr:
    """-1, 0 or 1 as a is below, equal to or above b; its derivative is 0. It closes the set under differentiation."""
    return apply("compare", a, b)


def topological(outputs: Iterable[Expr]) -> Iterator[Expr]:
    """Every node that the outputs need, each once, arguments before what uses them."""
    seen: set[Expr] = set()
    for output in outputs:
        stack = [(output, False)]
        while stack:
            node, ready = stack.pop()
            if node in seen:
                continue
            if ready:
                seen.add(node)
                yield node
            else:
                stack.append((node, True))
                stack.extend((a, False) for a in reversed(node.args))


def substitute(outputs: Iterable[Expr], replacement: dict[Expr, Expr]) -> list[Expr]:
    """The outputs with every node that is a key of `replacement` replaced."""
    outputs = list(outputs)
    new = dict(replacement)
    for node in topological(outputs):
        if node not in new:
            new[node] = apply(node.op, *(new[a] for a in node.args)) if node.args else node
    return [new[output] for output in outputs]
