"""What is printed is what is meant: equations are read back as Python, in exact fractions, and compared with the graph.

The functions are stand-ins that are exact on fractions, so that a bracket too few cannot hide behind rounding.
"""

import re
from fractions import Fraction

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ostinato.cell import Cell, Gate, cell
from ostinato.cells import CELLS, lstm, peephole_lstm
from ostinato.derive import equations
from ostinato.derive.adjoint import adjoint
from ostinato.derive.equations import Equation, backward, forward
from ostinato.derive.notation import Notation, Symbol
from ostinato.derive.text import notation
from ostinato.expr import OPERATIONS, Expr, apply, constant, sigmoid, tanh, topological, variable

STAND_INS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
    "neg": lambda a: -a,
    "maximum": max,
    "minimum": min,
    "compare": lambda a, b: Fraction((a > b) - (a < b)),
    "abs": abs,
    "relu": lambda a: max(a, Fraction(0)),
    "tanh": lambda a: (a + 3) / 7,
    "sigmoid": lambda a: (a + 1) / 5,
    "exp": lambda a: 2 - 3 * a,
    "log": lambda a: (5 * a + 1) / 11,
    "softplus": lambda a: a * a + 1,
    "sqrt": lambda a: (a - 2) / 3,
}
FUNCTIONS = STAND_INS | {"sgn": lambda a: Fraction((a > 0) - (a < 0))}


def python_name(s: Symbol) -> str:
    time = {None: "", 0: "_now", -1: "_before"}[s.time]
    return f"{s.gradient or ''}{'pre_' if s.tilde else ''}{s.name}_{s.part}{time}"


PYTHON = Notation(
    operations={op: f"{op}({', '.join(['{}'] * count)})" for op, count in OPERATIONS.items()}
    | {"add": "{} + {}", "sub": "{} - {}", "mul": "{} * {}", "div": "{} / {}", "neg": "-{}", "compare": "sgn({})"},
    symbol=python_name,
    number=lambda value: f"Fraction({value!r})",
    square="{}**2",
    scale="{} * {}",
    transpose="{}.T",
    total="total({})",
)


def exactly(node: Expr, values: dict[Expr, Fraction]) -> Fraction:
    for inner in topological([node]):
        if inner.op == "constant":
            values[inner] = Fraction(inner.value)
        elif inner.args and inner not in values:
            values[inner] = STAND_INS[inner.op](*(values[a] for a in inner.args))
    return values[node]


def read(text: str, names: dict[str, Fraction]) -> Fraction:
    return eval(text, FUNCTIONS | {"Fraction": Fraction} | names)


def extend(children):
    def some(op):
        arguments = st.tuples(*[children] * OPERATIONS[op]).filter(lambda a: any(n.op != "constant" for n in a))
        return arguments.map(lambda a: apply(op, *a))

    squares = children.filter(lambda n: n.op != "constant").map(lambda n: n * n)
    return st.sampled_from(sorted(OPERATIONS)).flatmap(some) | squares


VARIABLES = tuple(map(variable, ("a", "b", "h", "c", "w")))
atoms = st.sampled_from(VARIABLES) | st.sampled_from([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0]).map(constant)
expressions = st.recursive(atoms, extend, max_leaves=15).filter(lambda n: n.args)
cells = st.tuples(expressions, expressions | st.sampled_from(VARIABLES)).map(
    lambda bodies: Cell("random", "", (Gate("a", "sum"), Gate("b", "sum")), ("h", "c"), ("w",), "dense", bodies)
)
fractions = st.lists(st.fractions(-3, 3, max_denominator=20), min_size=7, max_size=7)


@settings(deadline=None, max_examples=200)
@given(node=expressions, numbers=fractions)
def test_a_formula_means_its_graph(node, numbers):
    values = dict(zip(VARIABLES, numbers, strict=False))
    names = {v: Symbol(v.name) for v in VARIABLES}
    text = PYTHON.formula(node, names)
    try:
        expected = exactly(node, dict(values))
    except ZeroDivisionError:
        assume(False)
    assert read(text, {python_name(names[v]): x for v, x in values.items()}) == expected


def follow(equations: list[Equation], names: dict[Expr, Symbol], known: dict[str, Fraction]) -> dict[str, Fraction]:
    """Read the equations one after the other; each may use only what is known by then."""
    for symbol, value in equations:
        left = python_name(symbol)
        assert left not in known, f"{left} is defined twice"
        known[left] = read(PYTHON.value(symbol, value, names), known)
    return known


@settings(deadline=None, max_examples=200)
@given(random=cells, numbers=fractions)
def test_equations_in_their_order_give_the_new_states_and_the_gradients(random, numbers):
    given_nodes = [*VARIABLES, variable("grad_h"), variable("grad_c")]
    values = dict(zip(given_nodes, numbers, strict=True))
    found, names = forward(random)
    back, all_names = backward(random)
    known = {python_name(all_names[node]): x for node, x in values.items()}
    gradients = adjoint(random).gradients
    try:
        states = [exactly(node, dict(values)) for node in random.next_states]
        slots = {name: exactly(g, dict(values)) for name, g in gradients.items() if name in "ab"}
        follow(found, names, known)
        follow(back, all_names, known)
    except ZeroDivisionError:
        assume(False)
    assert [known["h__now"], known["c__now"]] == states
    assert {name: known[f"innerpre_{name}__now"] for name in slots} == slots


# Names.


def left_sides(found: list[Equation]) -> list[str]:
    return [notation().symbol(symbol) for symbol, _ in found]


def test_gates_lend_their_names_to_their_activations():
    assert left_sides(forward(lstm)[0]) == ["iₜ", "fₜ", "gₜ", "oₜ", "cₜ", "hₜ"]
    assert left_sides(forward(peephole_lstm)[0]) == ["iₜ", "fₜ", "gₜ", "cₜ", "oₜ", "hₜ"]


def test_a_gate_that_is_used_twice_or_bare_lends_no_name():
    @cell(gates="a b", state="h")
    def both(a, b, h):
        return tanh(a) + sigmoid(a) + b * h

    assert left_sides(forward(both)[0]) == ["hₜ"]


def test_one_activation_of_two_gates_has_one_name():
    @cell(gates="a b", state="h")
    def joined(a, b, h):
        return h * tanh(a + b)

    assert left_sides(forward(joined)[0]) == ["aₜ", "hₜ"]


def test_a_long_node_that_is_used_again_gets_a_free_name():
    @cell(gates="a", state="h c", vectors="s1")
    def shared(a, h, c, s1):
        twice = tanh(a * c + s1) * h + c
        return twice * sigmoid(twice), c * tanh(h)

    assert left_sides(forward(shared)[0]) == ["aₜ", "s2ₜ", "hₜ", "cₜ"]


def test_states_that_are_the_same_or_handed_on():
    @cell(gates="a", state="h c d")
    def handed(a, h, c, d):
        new = tanh(a) * d
        return new, new, c

    found, names = forward(handed)
    text = {notation().symbol(s): notation().value(s, value, names) for s, value in found}
    assert text == {"aₜ": "tanh(ãₜ)", "hₜ": "aₜ ⊙ dₜ₋₁", "cₜ": "hₜ", "dₜ": "cₜ₋₁"}


def test_a_graph_that_shares_itself_many_times_stays_short():
    @cell(gates="a", state="h")
    def squared(a, h):
        for _ in range(60):
            a = a * a + h
        return a

    assert len(forward(squared)[0]) == 60
    assert sum(len(right) for row in equations.backward_rows(squared, PYTHON) for _, right in row) < 60 * 200


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_every_symbol_of_a_pointwise_equation_is_defined_above_it(cell):
    found, names = forward(cell)
    given_names = {notation().symbol(s) for node, s in names.items() if node.op == "variable"}
    for symbol, value in found:
        right = notation().value(symbol, value, names)
        used = set(re.findall(r"(?:(?<=[ (|-])|^)[^\W\d](?:\u0303|\w)*[ₜ₋₁]+", right))
        assert used <= given_names, f"{right} uses {used - given_names} before it is there"
        given_names.add(notation().symbol(symbol))
