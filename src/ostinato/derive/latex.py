r"""The equations of a cell as LaTeX, two `align` environments: the step, and its adjoint. Needs amsmath.

    >>> from ostinato.cells import srn
    >>> print(forward_latex(srn))
    \begin{align}
    \tilde{a}_t &= W x_t + U h_{t-1} + b \\
    h_t &= \tanh(\tilde{a}_t)
    \end{align}
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..cell import Cell
from .equations import Row, backward_rows, forward_rows
from .notation import Notation, Symbol

#: Operation -> LaTeX.
LATEX = {
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": r"{} \odot {}",
    "div": "{} / {}",
    "neg": "-{}",
    "tanh": r"\tanh({})",
    "sigmoid": r"\sigma({})",
    "relu": r"\operatorname{{relu}}({})",
    "exp": r"\exp({})",
    "log": r"\ln({})",
    "softplus": r"\operatorname{{softplus}}({})",
    "sqrt": r"\sqrt{{{}}}",
    "abs": r"\lvert {} \rvert",
    "maximum": r"\max({}, {})",
    "minimum": r"\min({}, {})",
    "compare": r"\operatorname{{sgn}}({})",
}

# fmt: off
_GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi",
    "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega",
}
# fmt: on
_GRADIENT = {None: "", "outer": r"\nabla ", "inner": r"\delta "}


def latex(cell: Cell) -> str:
    """Everything there is to write about a cell, ready to paste into a document that loads amsmath."""
    about = cell.doc.splitlines()[0] if cell.doc else ""
    return "\n".join(
        [
            f"% {cell.name}: {about}".rstrip(": "),
            forward_latex(cell),
            r"% The adjoint. \nabla: the gradient of the loss with respect to what crosses the border of a step,",
            r"% \delta: with respect to what is inside it.",
            backward_latex(cell),
            "",
        ]
    )


def forward_latex(cell: Cell) -> str:
    """One step of the recurrence."""
    return _align(forward_rows(cell, NOTATION))


def backward_latex(cell: Cell) -> str:
    """One step of back-propagation through time, and the gradients of what the cell learns."""
    return _align(backward_rows(cell, NOTATION))


def _align(rows: Iterable[Row]) -> str:
    first_aligned = (
        r", \quad ".join([f"{left} &= {right}", *(f"{name} = {value}" for name, value in rest)])
        for (left, right), *rest in rows
    )
    return "\n".join([r"\begin{align}", " \\\\\n".join(first_aligned), r"\end{align}"])


def symbol(s: Symbol) -> str:
    r"""`\tilde{i}_t`, `w_{ci}`, `\nabla h_{t-1}`."""
    first, *rest = re.findall(r"[^\W\d_]+|\d+", s.name)
    base, below = _word(first, 1), [_word(part, 2) for part in rest]
    if s.tilde:
        base = rf"\tilde{{{base}}}"
    if s.gate:
        below.append(symbol(Symbol(s.gate)))
    if s.time is not None:
        below.append("t" if s.time == 0 else "t-1")
    above = f"^{{{s.part}}}" if s.part else ""
    return f"{_GRADIENT[s.gradient]}{base}{above}{_subscript(','.join(below))}"


def _subscript(text: str) -> str:
    return "" if not text else f"_{text}" if len(text) == 1 else f"_{{{text}}}"


def _word(word: str, italic: int) -> str:
    """A Greek letter by its name; upright if longer than `italic` letters, so that it is no product."""
    if word in _GREEK:
        return rf"\{word}"
    return word if len(word) <= italic else rf"\mathrm{{{word}}}"


def number(value: float) -> str:
    r"""`1`, `0.5`, `\infty`, `10^{-5}`."""
    text = f"{value:g}" if float(f"{value:g}") == value else repr(value)
    text = text.replace("inf", r"\infty")
    mantissa, e, exponent = text.partition("e")
    if not e:
        return text
    power = f"10^{{{int(exponent)}}}"
    return {"1": power, "-1": f"-{power}"}.get(mantissa, rf"{mantissa} \cdot {power}")


NOTATION = Notation(
    operations=LATEX,
    symbol=symbol,
    number=number,
    square="{{{}}}^2",
    scale=r"{} \cdot {}",
    transpose=r"{}^\top",
    total=r"\textstyle\sum_t {}",
)
