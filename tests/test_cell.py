"""What a cell says about itself, and every way to define one wrongly: the cell, the argument and the line are named."""

import dataclasses
import math

import pytest

from ostinato.cell import Cell, Gate, SplitGate, cell
from ostinato.cells import CELLS, gru, indrnn, lstm, mingru
from ostinato.errors import DefinitionError, OstinatoError
from ostinato.expr import constant, exp, sigmoid, tanh, variable


def refusal(function, line=0, **declared) -> str:
    """The message without the cell and the place, both of which are checked; `line` counts from the def."""
    with pytest.raises(DefinitionError) as caught:
        cell(**declared)(function)
    start = f"cell '{function.__name__}', {__file__}:{function.__code__.co_firstlineno + line}: "
    message = str(caught.value)
    assert message.startswith(start), f"{message!r} does not start with {start!r}"
    return message.removeprefix(start)


def plain(a, h):
    return tanh(a) + h


# What a definition says.


def test_a_cell_says_what_it_is():
    assert (lstm.name, str(lstm)) == ("lstm", "lstm")
    assert lstm.gates == (Gate("i", "sum"), Gate("f", "sum"), Gate("g", "sum"), Gate("o", "sum"))
    assert (lstm.states, lstm.vectors, lstm.recurrence) == (("h", "c"), (), "dense")
    assert lstm.doc.startswith("Long short-term memory.")
    assert "sigmoid" not in repr(lstm)


def test_the_body_is_traced():
    i, f, g, o, c = map(variable, "ifgoc")
    next_c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    assert lstm.next_states == (sigmoid(o) * tanh(next_c), next_c)


def test_slots_that_x_feeds_are_adjacent_and_so_are_those_that_h_feeds():
    assert [(s.name, s.from_x, s.from_h) for s in gru.slots] == [
        ("n_x", True, False),
        ("r", True, True),
        ("z", True, True),
        ("n_h", False, True),
    ]
    assert [s.name for s in lstm.slots] == ["i", "f", "g", "o"]


def test_a_diagonal_or_absent_recurrence_has_no_product_with_h():
    assert [(s.name, s.from_x, s.from_h) for s in indrnn.slots] == [("a", True, False)]
    assert indrnn.recurrent_gates == indrnn.gates
    assert mingru.recurrent_gates == ()
    assert {gate.kind for gate in mingru.gates} == {"input"}


def test_input_only_gates_do_not_see_h():
    @cell(gates="f g", state="h", input_only="g")
    def light(f, g, h):
        return sigmoid(f) * h + g

    assert [gate.name for gate in light.recurrent_gates] == ["f"]
    assert [s.name for s in light.slots] == ["g", "f"]


def test_a_cell_is_frozen_and_hashable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        lstm.name = "other"  # pyright: ignore
    assert len({*CELLS.values(), lstm}) == len(CELLS)


def test_one_state_may_be_returned_with_or_without_a_tuple():
    @cell(gates="a", state="h")
    def bare(a, h):
        return tanh(a)

    @cell(gates="a", state="h")
    def listed(a, h):
        return [tanh(a)]

    assert bare.next_states == listed.next_states == (tanh(variable("a")),)
    assert bare.doc == ""


def test_only_the_output_may_be_unused():
    assert isinstance(CELLS["srn"], Cell)  # its h is unused: it enters through the gate


def test_keyword_only_arguments_in_any_order():
    @cell(gates="a", state="h c")
    def backwards(*, c, h, a):
        return tanh(a) + c, h

    assert backwards.states == ("h", "c")


def test_a_definition_error_is_caught_as_any_error_of_the_library():
    assert issubclass(DefinitionError, OstinatoError)
    assert issubclass(DefinitionError, ValueError)


# Malformed declarations.


@pytest.mark.parametrize("thing", [print, 3, Cell])
def test_only_functions_are_decorated(thing):
    with pytest.raises(DefinitionError, match="@cell decorates a function, not " + type(thing).__name__):
        cell(gates="a", state="h")(thing)


def test_no_gates():
    assert refusal(plain, gates="", state="h") == "gates is empty: a cell needs at least one gate"


def test_no_state():
    message = "state is empty: a cell needs at least one state, the first being its output"
    assert refusal(plain, gates="a", state=" ") == message


@pytest.mark.parametrize("name", ["1a", "a-b", "lambda", "_a", "a,"])
@pytest.mark.parametrize("place", ["gates", "state", "vectors"])
def test_names_that_are_no_arguments(name, place):
    declared = {"gates": "a", "state": "h", place: name}
    expected = f"'{name}' is no name for an argument: use a Python identifier without a leading _"
    assert refusal(plain, **declared) == expected


@pytest.mark.parametrize("prefix", ["grad_", "next_", "saved_", "weight_hh", "bias_ih"])
def test_names_that_the_derived_sources_use(prefix):
    message = f"'{prefix}a' begins with {prefix}, which has a meaning of its own: call it something else"
    assert refusal(plain, gates="a", state="h", vectors=f"{prefix}a") == message


def test_a_lambda_has_no_name():
    assert refusal(lambda a, h: a + h, gates="a", state="h") == "a cell is a function with a name: use def, not lambda"


@pytest.mark.parametrize(("name", "kind"), [("tanh", "an operation"), ("torch", "a library")])
def test_names_that_are_taken(name, kind):
    message = f"'{name}' is the name of {kind}: call the argument something else"
    assert refusal(plain, gates=name, state="h") == message


@pytest.mark.parametrize(
    "declared",
    [{"gates": "a a", "state": "h"}, {"gates": "a", "state": "a"}, {"gates": "x", "state": "h a", "vectors": "a"}],
)
def test_declared_twice(declared):
    assert refusal(plain, **declared) == "'a' is declared more than once among gates, state and vectors"


@pytest.mark.parametrize("part", ["n_x", "n_h"])
def test_a_clash_with_a_part_of_a_gate(part):
    message = f"'{part}' would clash with a part of gate 'n': call it something else"
    assert refusal(plain, gates="n", state="h", vectors=part) == message


def test_an_unknown_recurrence():
    message = "recurrence is 'sparse': it must be 'dense', 'diagonal' or 'none'"
    assert refusal(plain, gates="a", state="h", recurrence="sparse") == message


@pytest.mark.parametrize("argument", ["split", "input_only"])
def test_kinds_of_gates_that_are_not_there(argument):
    message = f"{argument} names 'h', which is not among the gates (a b)"
    assert refusal(plain, gates="a b", state="h", **{argument: "a h"}) == message


def test_split_and_input_only():
    message = "gate 'a' is both split and input_only: choose one"
    assert refusal(plain, gates="a", state="h", split="a", input_only="a") == message


@pytest.mark.parametrize("recurrence", ["diagonal", "none"])
def test_split_without_a_matrix(recurrence):
    message = f"gate 'a' is split, which needs recurrence='dense', not '{recurrence}'"
    assert refusal(plain, gates="a", state="h", split="a", recurrence=recurrence) == message


@pytest.mark.parametrize("recurrence", ["dense", "diagonal"])
def test_a_recurrence_that_no_gate_sees(recurrence):
    message = f"every gate is input_only, which leaves no recurrence: say recurrence='none', not '{recurrence}'"
    assert refusal(plain, gates="a", state="h", input_only="a", recurrence=recurrence) == message


# The function and the declaration do not agree.


@pytest.mark.parametrize(
    ("function", "argument"),
    [(lambda a, *h: a, "*h"), (lambda a, **h: a, "**h"), (lambda a, /, h: a, "a")],
)
def test_arguments_that_are_not_plain(function, argument):
    assert refusal(function, gates="a", state="h") == f"argument '{argument}' is not a plain named argument"


def test_an_argument_with_a_default():
    message = "argument 'h' has a default; every argument is a gate, a state or a vector"
    assert refusal(lambda a, h=0: a, gates="a", state="h") == message


def test_an_argument_that_is_not_declared():
    message = "argument 'b' is neither a gate, a state nor a vector (a h w)"
    assert refusal(lambda a, b, h: a, gates="a", state="h", vectors="w") == message


def test_a_declaration_without_an_argument():
    assert refusal(plain, gates="a", state="h c") == "'c' is declared but the function has no such argument"


# The body cannot be traced: the line is the one in the body.


def test_the_line_of_a_branch():
    def clever(a, h):
        squashed = tanh(a)
        if squashed:
            return h
        return squashed

    message = "a cell cannot branch on a value: use maximum, minimum or relu instead of if, and, or, not"
    assert refusal(clever, line=2, gates="a", state="h") == message


@pytest.mark.parametrize(
    ("function", "start"),
    [
        (lambda a, h: a if a > 0 else h, "a cell cannot compare values (0)"),
        (lambda a, h: a**2, "** is not one of the pointwise operations"),
        (lambda a, h: math.tanh(a), "a value has no number while a cell is traced"),
        (lambda a, h: a * math.nan, "a constant of a cell is a finite number, not nan"),
        (lambda a, h: a * exp(constant(1.0)), "exp(1.0) is a number"),
        (lambda a, h: tanh("a"), "tanh takes gates, states, vectors and numbers, not str ('a')"),
        (lambda a, h: a + tanh, "add takes gates, states, vectors and numbers, not function"),
        (lambda a, h: a + undefined_name, "name 'undefined_name' is not defined"),  # noqa: F821
        (lambda a, h: 1 / 0, "division by zero"),
    ],
)
def test_bodies_that_cannot_be_traced(function, start):
    assert refusal(function, gates="a", state="h").startswith(start)


@pytest.mark.parametrize(
    "function",
    [
        lambda n, h: n + 1,
        lambda n, h: 1 - n,
        lambda n, h: h * n,
        lambda n, h: n / 2,
        lambda n, h: -n,
        lambda n, h: tanh(n),
        lambda n, h: n,
    ],
)
def test_a_split_gate_as_a_whole(function):
    assert "gate 'n' is split: use n.x and n.h" in refusal(function, gates="n", state="h", split="n")


def test_an_error_in_a_helper_of_the_same_file_is_reported_there():
    def helper(value):
        return value**3

    def cubic(a, h):
        return helper(a)

    with pytest.raises(DefinitionError, match=f"cell 'cubic', .*:{helper.__code__.co_firstlineno + 1}: "):
        cell(gates="a", state="h")(cubic)


def test_the_error_of_an_inner_definition_is_not_wrapped():
    def outer(a, h):
        return cell(gates="", state="h")(plain)

    with pytest.raises(DefinitionError, match=r"^cell 'plain'"):
        cell(gates="a", state="h")(outer)


def test_the_line_of_a_decorated_function_is_that_of_its_decorator():
    with pytest.raises(DefinitionError) as caught:

        @cell(gates="a", state="h")
        def broken(a, h, extra):
            return tanh(a)

    first_line = test_the_line_of_a_decorated_function_is_that_of_its_decorator.__code__.co_firstlineno
    assert f"cell 'broken', {__file__}:{first_line + 3}: " in str(caught.value)


# What the body returns.


@pytest.mark.parametrize(
    ("function", "count"),
    [(lambda a, h, c: a, 1), (lambda a, h, c: (a, h, c), 3), (lambda a, h, c: (), 0)],
)
def test_the_number_of_new_states(function, count):
    assert refusal(function, gates="a", state="h c") == f"it returns {count} value(s) for 2 state(s) (h c)"


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "NoneType (None)"), (0.0, "float (0.0)"), ("h", "str ('h')")],
)
def test_new_states_that_are_no_expressions(value, shown):
    message = f"the new state 'c' is {shown}, not an expression"
    assert refusal(lambda a, h, c: (a + c, value), gates="a", state="h c") == message


def test_a_new_state_that_is_constant():
    message = "the new state 'c' is the constant 1.0: it would carry nothing to the next step"
    assert refusal(lambda a, h, c: (a + c, constant(1)), gates="a", state="h c") == message


@pytest.mark.parametrize(
    ("function", "declared", "name"),
    [
        (lambda a, b, h: tanh(a), {"gates": "a b"}, "b"),
        (lambda a, h, c: (tanh(a), h), {"gates": "a", "state": "h c"}, "c"),
        (lambda a, h, w: tanh(a), {"gates": "a", "vectors": "w"}, "w"),
        (lambda n, h: tanh(n.x), {"gates": "n", "split": "n"}, "n.h"),
        (lambda n, h: tanh(n.h), {"gates": "n", "split": "n"}, "n.x"),
    ],
)
def test_arguments_that_are_never_used(function, declared, name):
    assert refusal(function, **({"state": "h"} | declared)) == f"argument '{name}' is never used"


def test_split_gates_of_one_name_are_the_same_variables():
    assert SplitGate("n").x is variable("n_x")
    assert SplitGate("n").h is variable("n_h")
