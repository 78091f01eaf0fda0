"""From a graph of expressions to lines of Python: a table from operation to text does the rest."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Mapping

from ..expr import Expr

# How tightly an operation binds; a function call binds tightest.
_PRECEDENCE = {"add": 1, "sub": 1, "mul": 2, "div": 2, "neg": 3}
_ATOM = 4

#: The infix operations, as every Python-like table spells them.
ARITHMETIC = {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}"}


def statements(
    outputs: Mapping[str, Expr], table: Mapping[str, str], names: Mapping[Expr, str] | None = None
) -> list[str]:
    """Assignments that compute `outputs` (name -> expression), one line each.

    A node that is used once is written in place; one that is used more often gets a name of its own.

    Args:
        outputs: what to assign, by the name to assign it to. An output may be used by the ones after it.
        table: operation -> text with a `{}` for every argument.
        names: nodes that have a name already (values loaded from memory); variables have theirs.
    """
    printer = _Printer(outputs, table, dict(names or {}))
    return printer.lines()


class _Printer:
    def __init__(self, outputs: Mapping[str, Expr], table: Mapping[str, str], names: dict[Expr, str]) -> None:
        self.outputs = outputs
        self.table = table
        self.names = names
        self.order = _needed(outputs.values(), names)
        self.uses = Counter(a for node in self.order if node not in names for a in node.args)
        self.taken = set(names.values()) | set(outputs) | {n.name for n in self.order if n.op == "variable"}

    def lines(self) -> list[str]:
        lines = []
        first_output: dict[Expr, str] = {}
        for name, node in self.outputs.items():
            first_output.setdefault(node, name)
        for node in self.order:
            if node in self.names or not node.args:
                continue
            if node in first_output or self.uses[node] > 1:
                name = first_output.get(node) or self.fresh(node)
                lines.append(f"{name} = {self.text(node)}")
                self.names[node] = name
        for name, node in self.outputs.items():
            if first_output[node] != name or not node.args or self.names.get(node) != name:
                lines.append(f"{name} = {self.text(node)}")
        return lines

    def fresh(self, node: Expr) -> str:
        """`tanh_g` for tanh(g), else the operation and a number: never the name of a function."""
        candidates = (f"{node.op}_{count}" for count in itertools.count(1))
        if len(node.args) == 1 and node.args[0].op == "variable":
            candidates = itertools.chain([f"{node.op}_{node.args[0].name}"], candidates)
        name = next(c for c in candidates if c not in self.taken)
        self.taken.add(name)
        return name

    def text(self, node: Expr, need: int = 0) -> str:
        if node in self.names:
            return self.names[node]
        if node.op == "variable":
            return node.name
        if node.op == "constant":
            return f"({node.value!r})" if node.value < 0 and need else repr(node.value)
        form, strength = self.table[node.op], _PRECEDENCE.get(node.op, _ATOM)
        if strength == _ATOM:
            return form.format(*(self.text(a) for a in node.args))
        left = self.text(node.args[0], strength)
        text = form.format(left, *(self.text(a, strength + 1) for a in node.args[1:]))
        return f"({text})" if strength < need else text


def _needed(outputs: Iterable[Expr], names: Mapping[Expr, str]) -> list[Expr]:
    """The nodes that have to be computed or loaded, given that those in `names` are there already."""
    order: list[Expr] = []
    seen: set[Expr] = set()

    def visit(node: Expr) -> None:
        if node not in seen:
            seen.add(node)
            if node not in names:
                for argument in node.args:
                    visit(argument)
            order.append(node)

    for output in outputs:
        visit(output)
    return order
