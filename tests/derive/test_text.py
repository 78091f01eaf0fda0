"""Plain text: readable, aligned, within 80 columns, and still there where only ASCII can be printed."""

import pytest

from ostinato.cells import CELLS, gru, lstm, srn
from ostinato.derive.text import TEXT, backward_text, equation, forward_text, number, printed_width, to_ascii
from ostinato.expr import OPERATIONS


def test_every_operation_has_a_text():
    assert TEXT.keys() == OPERATIONS.keys()


def test_the_lstm():
    assert forward_text(lstm).splitlines()[-6:] == [
        "iₜ = σ(ĩₜ)",
        "fₜ = σ(f̃ₜ)",
        "gₜ = tanh(g̃ₜ)",
        "oₜ = σ(õₜ)",
        "cₜ = fₜ ⊙ cₜ₋₁ + iₜ ⊙ gₜ",
        "hₜ = oₜ ⊙ tanh(cₜ)",
    ]


def test_the_adjoint_of_the_srn():
    assert backward_text(srn).splitlines() == [
        "δãₜ   = ∇hₜ ⊙ (1 - hₜ²)",
        "∇xₜ   = Wᵀ δãₜ",
        "∇hₜ₋₁ = Uᵀ δãₜ",
        "∇W    = Σₜ δãₜ xₜᵀ,  ∇U = Σₜ δãₜ hₜ₋₁ᵀ,  ∇b = Σₜ δãₜ",
    ]


def test_ascii_is_aligned_too():
    assert forward_text(gru, ascii=True).splitlines() == [
        "n~_x[t] = W_n x[t] + b_x_n",
        "r~[t]   = W_r x[t] + U_r h[t-1] + b_r",
        "z~[t]   = W_z x[t] + U_z h[t-1] + b_z",
        "n~_h[t] = U_n h[t-1] + b_h_n",
        "r[t]    = sigmoid(r~[t])",
        "z[t]    = sigmoid(z~[t])",
        "n[t]    = tanh(n~_x[t] + r[t] * n~_h[t])",
        "h[t]    = (1 - z[t]) * n[t] + z[t] * h[t-1]",
    ]


@pytest.mark.parametrize("ascii", [False, True])
@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_every_cell_fits_a_terminal_and_its_signs_of_equality_are_in_one_column(cell, ascii):
    for text in (forward_text(cell, ascii=ascii), backward_text(cell, ascii=ascii)):
        lines = text.splitlines()
        assert max(map(printed_width, lines)) <= 80
        firsts = {printed_width(line.partition("= ")[0]) for line in lines if not line.startswith(" ")}
        assert len(firsts) == 1
        assert text.isascii() or not ascii


def test_a_letter_without_a_spelling():
    assert to_ascii("é … ∇ö") == "e? ? Do?"


def test_a_long_equation_is_broken_before_a_sign():
    terms = [f"long_name_{n} ⊙ (1 - other_name_{n})" for n in range(6)]
    lines = equation("y", " + ".join(terms)).splitlines()
    assert len(lines) > 1
    assert max(map(len, lines)) <= 78
    assert all(line.startswith(("    + ", "    - ")) for line in lines[1:])
    assert " ".join(line.strip() for line in lines) == "y = " + " + ".join(terms)


def test_a_word_longer_than_a_line_is_left_whole():
    assert equation("y", "x" * 200).replace("\n", "").replace(" ", "") == "y=" + "x" * 200


@pytest.mark.parametrize(("value", "text"), [(1.0, "1"), (-0.5, "-0.5"), (0.1 + 0.2, "0.30000000000000004")])
def test_numbers_are_short_where_that_is_exact(value, text):
    assert number(value) == text
