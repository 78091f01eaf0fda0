"""How a formula is written: symbols, numbers and pointwise operations, in any notation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ..expr import Expr

# How tightly a form binds; a symbol and a function call bind tightest. a / b * c would be read in two ways, so a
# quotient binds less than a product.
_SUM, _QUOTIENT, _PRODUCT, _SQUARE, _ATOM = range(1, 6)
_STRENGTH = {"add": _SUM, "sub": _SUM, "neg": _SUM, "mul": _PRODUCT, "div": _QUOTIENT}
_RIGHT_NEEDS = {"add": _SUM, "sub": _QUOTIENT, "div": _SQUARE}


@dataclass(frozen=True)
class Symbol:
    """The name of a quantity, before any notation.

    Attributes:
        name: as in the definition, or "W", "U", "u", "b", "x".
        time: 0 at step t, -1 at the step before, None for what every step shares.
        gate: the gate that a weight belongs to.
        tilde: a pre-activation.
        part: the part "x" or "h" of a split gate.
        gradient: of the loss: "outer" with respect to what crosses the border of a step, "inner" within it.
    """

    name: str
    time: Literal[0, -1] | None = None
    gate: str = ""
    tilde: bool = False
    part: str = ""
    gradient: Literal["outer", "inner"] | None = None


@dataclass(frozen=True)
class Notation:
    """One way to write formulas. The texts have a `{}` for every argument.

    Attributes:
        operations: operation -> text; compare(a, b) is written as the sign of a - b, with one `{}`.
        symbol, number: how a symbol and a constant are written.
        square, scale: x * x, and a constant times x.
        transpose: of a matrix, or of a vector.
        total: the sum over all steps.
    """

    operations: Mapping[str, str]
    symbol: Callable[[Symbol], str]
    number: Callable[[float], str]
    square: str
    scale: str
    transpose: str
    total: str

    def value(self, symbol: Symbol, node: Expr, names: Mapping[Expr, Symbol]) -> str:
        """The right side of `symbol = node` in terms of the nodes that have names. Variables need one."""
        return self.formula(node, names) if names.get(node) != symbol else self._form(node, names)[0]

    def formula(self, node: Expr, names: Mapping[Expr, Symbol], need: int = 0) -> str:
        """`node` itself, by its name if it has one; in brackets if it binds less than the place needs."""
        if node in names:
            return self.symbol(names[node])
        text, strength = self._form(node, names)
        return f"({text})" if strength < need else text

    def _form(self, node: Expr, names: Mapping[Expr, Symbol]) -> tuple[str, int]:
        """The text of a node and how tightly it binds."""
        if node.op == "variable":
            return self.symbol(names[node]), _ATOM
        if node.op == "constant":
            return self.number(node.value), _SUM if node.value < 0 else _ATOM
        strength = _STRENGTH.get(node.op, _ATOM)
        if strength == _ATOM:
            args = [_difference(*node.args)] if node.op == "compare" else node.args
            return self.operations[node.op].format(*(self.formula(a, names) for a in args)), _ATOM
        if node.op == "neg":
            return self.operations["neg"].format(self.formula(node.args[0], names, _QUOTIENT)), _SUM
        left, right = node.args
        if node.op == "mul":
            return self._product(left, right, names)
        op = node.op
        if op == "add" and right.op == "neg" and right not in names:
            op, right = "sub", right.args[0]
        return self.operations[op].format(
            self.formula(left, names, strength), self.formula(right, names, _RIGHT_NEEDS[op])
        ), strength

    def _product(self, left: Expr, right: Expr, names: Mapping[Expr, Symbol]) -> tuple[str, int]:
        if left is right:
            return self.square.format(self.formula(left, names, _ATOM)), _SQUARE
        if right.op == "constant":
            left, right = right, left
        form = self.scale if left.op == "constant" else self.operations["mul"]
        return form.format(self.formula(left, names, _PRODUCT), self.formula(right, names, _PRODUCT)), _PRODUCT


def _difference(a: Expr, b: Expr) -> Expr:
    return a if b.op == "constant" and b.value == 0 else a - b
