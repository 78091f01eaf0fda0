"""The equations of a cell for a terminal: `hₜ = oₜ ⊙ tanh(cₜ)`, or `h[t] = o[t] * tanh(c[t])` where that is all it can.

>>> from ostinato.cells import srn
>>> print(forward_text(srn))
ãₜ = W xₜ + U hₜ₋₁ + b
hₜ = tanh(ãₜ)
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable

from ..cell import Cell
from .equations import Row, backward_rows, forward_rows
from .notation import Notation, Symbol

WIDTH = 78

#: Operation -> text.
TEXT = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} ⊙ {}",
    "div": "{} / {}",
    "neg": "-{}",
    "tanh": "tanh({})",
    "sigmoid": "σ({})",
    "relu": "relu({})",
    "exp": "exp({})",
    "log": "log({})",
    "softplus": "softplus({})",
    "sqrt": "sqrt({})",
    "abs": "|{}|",
    "maximum": "max({}, {})",
    "minimum": "min({}, {})",
    "compare": "sgn({})",
}

_TILDE = "\N{COMBINING TILDE}"
_TIMES = {None: "", 0: "ₜ", -1: "ₜ₋₁"}
_PARTS = {"": "", "x": "ˣ", "h": "ʰ"}
_GRADIENT = {None: "", "outer": "∇", "inner": "δ"}
_DIGITS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_ASCII = (
    {"Σₜ": "sum_t", "ₜ₋₁": "[t-1]", "ₜ": "[t]", "⊙": "*", "·": "*", "σ": "sigmoid", "ᵀ": "'", "²": "^2"}
    | {"∇": "D", "δ": "d", "ˣ": "_x", "ʰ": "_h", "×": "x"}
    | {small: f"[{digit}]" for digit, small in enumerate("₀₁₂₃₄₅₆₇₈₉")}
)


def forward_text(cell: Cell, *, ascii: bool = False) -> str:
    """One step of the recurrence."""
    return _aligned(forward_rows(cell, notation(ascii=ascii)))


def backward_text(cell: Cell, *, ascii: bool = False) -> str:
    """One step of back-propagation through time, and the gradients of what the cell learns."""
    return _aligned(backward_rows(cell, notation(ascii=ascii)))


def notation(*, ascii: bool = False, step: int | None = None) -> Notation:
    """Plain text, in ASCII if asked; with the number of a step in place of t: `h₂ = o₂ ⊙ tanh(c₂)`."""

    def write(text: str) -> str:
        return to_ascii(text) if ascii else text

    return Notation(
        operations={op: write(form) for op, form in TEXT.items()},
        symbol=lambda s: write(_symbol(s, step)),
        number=number,
        square=write("{}²"),
        scale=write("{}·{}"),
        transpose=write("{}ᵀ"),
        total=write("Σₜ {}"),
    )


def _symbol(s: Symbol, step: int | None) -> str:
    name = unicodedata.normalize("NFC", s.name[0] + _TILDE + s.name[1:]) if s.tilde else s.name
    gate = f"_{s.gate}" if s.gate else ""
    time = _TIMES[s.time] if step is None or s.time is None else str(step + s.time).translate(_DIGITS)
    return f"{_GRADIENT[s.gradient]}{name}{_PARTS[s.part]}{gate}{time}"


def number(value: float) -> str:
    """`1`, `0.5`, `1e-05`: short where that is exact."""
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def to_ascii(text: str) -> str:
    """The text with every sign that ASCII lacks spelled out; a letter that has no spelling becomes `?`."""
    for sign, spelling in _ASCII.items():
        text = text.replace(sign, spelling)
    return unicodedata.normalize("NFD", text).replace(_TILDE, "~").encode("ascii", "replace").decode()


def _aligned(rows: Iterable[Row]) -> str:
    """One row below the other, their first signs of equality in one column."""
    rows = list(rows)
    width = max(printed_width(row[0][0]) for row in rows)
    return "\n".join(
        equation(left, ",  ".join([right, *(f"{name} = {value}" for name, value in rest)]), width)
        for (left, right), *rest in rows
    )


def equation(left: str, right: str, width: int = 0) -> str:
    """`left = right`, the left side padded to `width`, a long right side broken before a plus or a minus."""
    start = f"{padded(left, width)} = "
    glued = re.sub(r"(?<!,) (?![+-] )", "\0", right)
    indent = " " * printed_width(start)
    wrapped = textwrap.wrap(glued, WIDTH, initial_indent=start, subsequent_indent=indent, break_long_words=False)
    return "\n".join(wrapped).replace("\0", " ")


def padded(text: str, width: int) -> str:
    """The text with blanks up to `width` columns."""
    return text + " " * (width - printed_width(text))


def printed_width(text: str) -> int:
    """How many columns a text takes: a combining tilde takes none."""
    return sum(not unicodedata.combining(letter) for letter in text)
