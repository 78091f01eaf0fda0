"""Numbers for a graph: every operation against PyTorch, and random graphs against the printed reference."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.cell import Cell, Gate
from ostinato.derive.evaluate import NUMBERS, evaluate
from ostinato.derive.reference import TORCH, step
from ostinato.expr import OPERATIONS, Expr, apply, constant, tanh, topological, variable

VARIABLES = tuple(map(variable, "abh"))
SPECIAL = [0.0, -0.0, 1.0, -1.0, 40.0, -40.0, 750.0, -750.0, math.inf, -math.inf, math.nan]


def extend(children: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    def some(op: str) -> st.SearchStrategy[Expr]:
        arguments = st.tuples(*[children] * OPERATIONS[op]).filter(lambda a: any(n.op != "constant" for n in a))
        return arguments.map(lambda a: apply(op, *a))

    return st.sampled_from(sorted(OPERATIONS)).flatmap(some)


constants = st.floats(-3, 3).map(constant)
expressions = st.recursive(st.sampled_from(VARIABLES) | constants, extend, max_leaves=25).filter(lambda n: n.args)


def test_every_operation_has_a_number():
    assert NUMBERS.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("op", sorted(OPERATIONS))
def test_every_operation_is_that_of_torch(op):
    generator = np.random.default_rng(0)
    values = np.array([*SPECIAL, *generator.normal(size=20)])
    names = "ab"[: OPERATIONS[op]]
    grid = dict(zip(names, np.meshgrid(*[values] * len(names)), strict=True))
    node = apply(op, *map(variable, names))
    ours = evaluate([node], grid)[node]
    cell = Cell("one", "", (Gate("a", "sum"), Gate("b", "sum")), ("h",), (), "dense", (node,))
    tensors = {name: torch.tensor(value) for name, value in {"b": grid["a"], **grid, "h": grid["a"]}.items()}
    (theirs,) = step.__wrapped__(cell)(**tensors)
    np.testing.assert_allclose(ours, theirs.numpy(), rtol=1e-14, atol=1e-300)


@settings(deadline=None, max_examples=150)
@given(node=expressions, values=st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_a_random_graph_printed_for_torch_is_the_graph_evaluated_node_by_node(node, values):
    cell = Cell("random", "", (Gate("a", "sum"), Gate("b", "sum")), ("h",), (), "dense", (node,))
    tensors = {v.name: torch.tensor([x], dtype=torch.float64) for v, x in zip(VARIABLES, values, strict=True)}
    (printed,) = step.__wrapped__(cell)(**tensors)
    found: dict[Expr, object] = {variable(name): value for name, value in tensors.items()}
    for inner in topological([node]):
        if inner.op == "constant":
            found[inner] = inner.value
        elif inner.args:
            found[inner] = _torch_operation(inner.op)(*(found[a] for a in inner.args))
    assert torch.equal(printed.nan_to_num(7.0), found[node].nan_to_num(7.0))


def _torch_operation(op: str):
    """One line of the table, with nothing around it."""
    node = apply(op, *map(variable, "ab"[: OPERATIONS[op]]))
    cell = Cell("one", "", (Gate("a", "sum"), Gate("b", "sum")), ("h",), (), "dense", (node,))
    one = step(cell)
    return lambda a, b=None: one(a, b, None)[0]


@settings(deadline=None, max_examples=100)
@given(node=expressions, values=st.lists(st.floats(-3, 3), min_size=3, max_size=3))
def test_a_random_graph_has_the_value_that_numpy_gives_it(node, values):
    given_values = dict(zip("abh", values, strict=True))

    def by_recursion(n: Expr):
        if n.op == "variable":
            return np.float64(given_values[n.name])
        if n.op == "constant":
            return np.float64(n.value)
        return NUMBERS[n.op](*map(by_recursion, n.args))

    with np.errstate(all="ignore"):
        expected = by_recursion(node)
    np.testing.assert_array_equal(evaluate([node], given_values)[node], expected)


def test_the_value_of_every_node_is_there_and_shapes_broadcast():
    a, b = variable("a"), variable("b")
    inner = tanh(a)
    outer = inner * b + 1
    values = evaluate([outer], {"a": [[0.0], [1.0]], "b": [1.0, 2.0, 3.0]})
    assert set(values) == set(topological([outer]))
    assert values[inner].shape == (2, 1)
    np.testing.assert_allclose(values[outer], np.tanh([[0.0], [1.0]]) * [1, 2, 3] + 1)


def test_a_variable_without_a_value():
    with pytest.raises(KeyError, match="b"):
        evaluate([variable("a") + variable("b")], {"a": 1.0})


def test_the_table_of_torch_is_the_set_of_operations():
    assert TORCH.keys() == OPERATIONS.keys()
