"""LaTeX: golden files, and what has to hold for any cell. Rewrite: OSTINATO_REWRITE=1 pytest tests/derive."""

import itertools
from pathlib import Path

import pytest

from ostinato.cell import cell
from ostinato.cells import CELLS
from ostinato.derive.latex import LATEX, forward_latex, latex, number, symbol
from ostinato.derive.notation import Symbol
from ostinato.expr import OPERATIONS, compare, exp, log, maximum, minimum, relu, softplus, sqrt, tanh

GOLDEN = Path(__file__).parents[1] / "golden" / "latex"


@cell(gates="n input_gate", state="h c", vectors="alpha w_ci", split="n", input_only="input_gate")
def everything(n, input_gate, h, c, alpha, w_ci):
    """Every operation once."""
    c = relu(n.x) / sqrt(1 + exp(c)) - softplus(-n.h) * log(abs(input_gate) + 0.5)
    return maximum(c, alpha) * minimum(h, 1e-5) + compare(c, h) * tanh(w_ci * w_ci) - 2 * c, c


def test_every_operation_has_latex():
    assert LATEX.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("cell", [*CELLS.values(), everything], ids=str)
def test_the_source_is_the_golden_file(cell, same_as_file):
    same_as_file(GOLDEN / f"{cell}.tex", latex(cell))


def test_every_golden_file_is_that_of_a_cell():
    assert {path.stem for path in GOLDEN.iterdir()} == {*CELLS, "everything"}


@pytest.mark.parametrize("cell", [*CELLS.values(), everything], ids=str)
def test_the_source_is_balanced(cell):
    source = latex(cell)
    assert source.count(r"\begin{align}") == source.count(r"\end{align}") == 2
    depth = 0
    for letter in source:
        depth += {"{": 1, "}": -1}.get(letter, 0)
        assert depth >= 0
    assert depth == 0
    equations = [line for line in source.splitlines() if not line.startswith(("%", r"\begin", r"\end"))]
    assert all(line.count("&") == 1 for line in equations)
    last = [line for line, _ in itertools.pairwise(equations) if not line.endswith(r"\\")]
    assert len(last) == 1, "only the last line of an environment has no line break"


def test_a_cell_of_ones_own_reads_as_in_a_book():
    @cell(gates="f g", state="h")
    def mgu(f, g, h):
        f = 1 / (1 + exp(-f))
        return (1 - f) * h + f * tanh(g)

    assert forward_latex(mgu).splitlines() == [
        r"\begin{align}",
        r"\tilde{f}_t &= W_f x_t + U_f h_{t-1} + b_f \\",
        r"\tilde{g}_t &= W_g x_t + U_g h_{t-1} + b_g \\",
        r"f_t &= \exp(-\tilde{f}_t) \\",
        r"g_t &= \tanh(\tilde{g}_t) \\",
        r"s_{1,t} &= 1 / (1 + f_t) \\",
        r"h_t &= (1 - s_{1,t}) \odot h_{t-1} + s_{1,t} \odot g_t",
        r"\end{align}",
    ]


@pytest.mark.parametrize(
    ("quantity", "text"),
    [
        (Symbol("h", time=0), "h_t"),
        (Symbol("h", time=-1), "h_{t-1}"),
        (Symbol("w_ci"), "w_{ci}"),
        (Symbol("h2", time=0), "h_{2,t}"),
        (Symbol("i", time=0, tilde=True), r"\tilde{i}_t"),
        (Symbol("n", time=0, tilde=True, part="x"), r"\tilde{n}^{x}_t"),
        (Symbol("alpha"), r"\alpha"),
        (Symbol("beta_in", time=-1), r"\beta_{in,t-1}"),
        (Symbol("reset", time=0), r"\mathrm{reset}_t"),
        (Symbol("W", gate="reset"), r"W_{\mathrm{reset}}"),
        (Symbol("b", gate="n", part="h"), "b^{h}_n"),
        (Symbol("U", gate="i", gradient="outer"), r"\nabla U_i"),
        (Symbol("c", time=0, gradient="inner"), r"\delta c_t"),
    ],
)
def test_symbols(quantity, text):
    assert symbol(quantity) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.0, "1"),
        (-2.0, "-2"),
        (0.5, "0.5"),
        (1 / 3, "0.3333333333333333"),
        (1e-5, "10^{-5}"),
        (-1e30, "-10^{30}"),
        (2.5e-7, r"2.5 \cdot 10^{-7}"),
        (float("inf"), r"\infty"),
        (-float("inf"), r"-\infty"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text
