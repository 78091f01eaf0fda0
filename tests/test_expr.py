import gc
import math
import threading

import pytest

from ostinato import expr
from ostinato.expr import OPERATIONS, Expr, apply, constant, substitute, topological, variable

A, B, C = variable("a"), variable("b"), variable("c")


# Equal structure is the same object.


def test_equal_expressions_are_one_object():
    assert expr.sigmoid(A) * B + 1 is expr.sigmoid(A) * B + 1
    assert variable("a") is A
    assert constant(2) is constant(2.0)


@pytest.mark.parametrize(
    ("left", "right"),
    [(A + B, B + A), (A - B, B - A), (A * 2, A * 3), (expr.tanh(A), expr.sigmoid(A)), (A * 0.0, A * -0.0)],
)
def test_different_expressions_are_different_objects(left, right):
    assert left is not right


def test_a_variable_and_a_constant_never_meet():
    assert variable("1.0") is not constant(1.0)


def test_nodes_that_nobody_holds_are_forgotten():
    gc.collect()
    before = len(expr._interned)
    held = expr.tanh(variable("only_here") + 12345)
    assert len(expr._interned) == before + 4
    del held
    gc.collect()
    assert len(expr._interned) == before


def test_threads_get_the_same_node():
    nodes, start = [], threading.Barrier(8)

    def trace():
        start.wait()
        node = variable("x")
        for _ in range(200):
            node = expr.tanh(node + 0.25)
        nodes.append(node)

    threads = [threading.Thread(target=trace) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(nodes) == 8
    assert len(set(nodes)) == 1


# Tracing: what Python writes is what the graph says.


@pytest.mark.parametrize(
    ("node", "text"),
    [
        (A + B, "add(a, b)"),
        (A + 1, "add(a, 1.0)"),
        (1 + A, "add(1.0, a)"),
        (A - 1, "sub(a, 1.0)"),
        (1 - A, "sub(1.0, a)"),
        (2 * A, "mul(2.0, a)"),
        (A * 2, "mul(a, 2.0)"),
        (A / 2, "div(a, 2.0)"),
        (2 / A, "div(2.0, a)"),
        (-A, "neg(a)"),
        (abs(A), "abs(a)"),
        (expr.tanh(A), "tanh(a)"),
        (expr.sigmoid(A), "sigmoid(a)"),
        (expr.relu(A), "relu(a)"),
        (expr.exp(A), "exp(a)"),
        (expr.log(A), "log(a)"),
        (expr.softplus(A), "softplus(a)"),
        (expr.sqrt(A), "sqrt(a)"),
        (expr.maximum(A, 0), "maximum(a, 0.0)"),
        (expr.minimum(0.5, A), "minimum(0.5, a)"),
        (expr.compare(A, B), "compare(a, b)"),
    ],
)
def test_what_python_writes_is_what_the_graph_says(node, text):
    assert repr(node) == text


def test_every_operation_can_be_written():
    arguments = (A, B)
    for op, count in OPERATIONS.items():
        node = apply(op, *arguments[:count])
        assert (node.op, node.args) == (op, arguments[:count])


# Refusals.


def test_an_expression_is_not_made_by_hand():
    with pytest.raises(TypeError, match=r"make expressions with variable\(\), constant\(\) and the operations"):
        Expr()


@pytest.mark.parametrize("value", ["1", None, 1j, [1.0], True])
def test_a_constant_is_a_number(value):
    with pytest.raises(TypeError, match="a constant is an int or a float, not " + type(value).__name__):
        constant(value)


@pytest.mark.parametrize("make", [lambda: constant(math.nan), lambda: A + math.inf, lambda: -math.inf * A])
def test_a_constant_is_finite(make):
    with pytest.raises(TypeError, match=r"a constant of a cell is a finite number, not (nan|inf|-inf)"):
        make()


@pytest.mark.parametrize("make", [lambda: apply("exp", 1.0), lambda: constant(1) + 2, lambda: -constant(1)])
def test_an_operation_on_numbers_alone_is_refused(make):
    with pytest.raises(TypeError, match=r"(exp|add|neg)\(1\.0.*\) is a number: compute it with math"):
        make()


def test_an_unknown_operation():
    with pytest.raises(KeyError):
        apply("sin", A)


@pytest.mark.parametrize(("op", "arguments"), [("tanh", (A, B)), ("add", (A,)), ("maximum", ())])
def test_the_number_of_arguments(op, arguments):
    with pytest.raises(TypeError, match=rf"{op} takes {OPERATIONS[op]} argument\(s\), got {len(arguments)}"):
        apply(op, *arguments)


@pytest.mark.parametrize("other", ["x", None, [1], (A,), True])
def test_what_is_neither_expression_nor_number(other):
    with pytest.raises(TypeError, match=f"add takes gates, states, vectors and numbers, not {type(other).__name__}"):
        A + other


def test_a_function_as_argument_is_named():
    with pytest.raises(TypeError, match=r"tanh takes .* not function \(<function tanh"):
        expr.tanh(expr.tanh)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: A**2, r"\*\* is not one of the pointwise operations; for a square write x \* x \(exponent 2\)"),
        (lambda: bool(A), "a cell cannot branch on a value"),
        (lambda: A and B, "a cell cannot branch on a value"),
        (lambda: not A, "a cell cannot branch on a value"),
        (lambda: A < B, r"a cell cannot compare values \(b\)"),
        (lambda: A <= 1, r"a cell cannot compare values \(1\)"),
        (lambda: A > B, "a cell cannot compare values"),
        (lambda: A >= B, "a cell cannot compare values"),
        (lambda: max(A, B), "a cell cannot compare values"),
        (lambda: math.tanh(A), "use the functions of ostinato.expr, not of math"),
        (lambda: float(A), "a value has no number while a cell is traced"),
    ],
)
def test_python_that_a_cell_cannot_say(use, message):
    with pytest.raises(TypeError, match=message):
        use()


# Walking and replacing.


def test_topological_gives_every_node_once_and_arguments_first():
    shared = expr.tanh(A)
    outputs = [shared * B, shared + shared * B]
    order = list(topological(outputs))
    assert len(order) == len(set(order))
    assert set(order) == {A, B, shared, *outputs}
    for place, node in enumerate(order):
        assert all(order.index(argument) < place for argument in node.args)


def test_topological_of_a_deep_chain_does_not_recurse():
    node = A
    for _ in range(5000):
        node = node + 1
    assert len(list(topological([node]))) == 5002


def test_topological_of_a_shared_graph_is_linear():
    node = A
    for _ in range(200):
        node = node * node
    assert len(list(topological([node]))) == 201


def test_topological_of_nothing():
    assert list(topological([])) == []


def test_substitute_replaces_variables():
    assert substitute([expr.tanh(A) + B, A], {A: C * C}) == [expr.tanh(C * C) + B, C * C]


def test_substitute_replaces_an_inner_node_as_a_whole():
    shared = expr.tanh(A)
    assert substitute([shared * shared + A], {shared: B}) == [B * B + A]


def test_substitute_does_not_replace_what_it_put_in():
    assert substitute([A * B], {A: B, B: A}) == [B * A]


def test_substitute_nothing_gives_the_same_objects():
    outputs = [expr.sigmoid(A) * B, constant(1.0)]
    assert substitute(iter(outputs), {}) == outputs
