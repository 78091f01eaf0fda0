"""Costs counted by hand."""

import pytest

from ostinato.cells import CELLS, gru, indrnn, lstm, mingru, peephole_lstm, srn
from ostinato.derive.cost import TRANSCENDENTAL, Work, cost
from ostinato.errors import ShapeError
from ostinato.expr import OPERATIONS

ONE = {"steps": 1, "batch": 1, "input_size": 1, "hidden_size": 1}
LARGE = {"steps": 256, "batch": 128, "input_size": 256, "hidden_size": 256}


def test_the_six_products_of_an_lstm():
    count = cost(lstm, **LARGE)
    assert count.total.products == 6 * 2 * 32768 * 1024 * 256
    assert count.backward.products == 2 * count.forward.products


def test_one_number_through_an_srn():
    # Forward: w x and u h with their additions; tanh. It reads x, w, u, two biases, h and writes h, twice: as the
    # output and as the final state. Its backward needs nothing but the output.
    count = cost(srn, **ONE, dtype_bytes=1)
    assert count.forward == Work(products=4, pointwise=0, transcendental=1, bytes=6 + 1 + 1)
    # Backward: gradients of x, w, h, u; g (1 - y y) is 3; the sum of the bias; output and next step meet. It reads
    # the six again, the output, its gradient and that of the final state, and writes six gradients.
    assert count.backward == Work(products=8, pointwise=3 + 1 + 1, transcendental=0, bytes=6 + 1 + 1 + 1 + 6)


def test_one_number_through_an_lstm():
    count = cost(lstm, **ONE, dtype_bytes=1)
    # f c, i g, their sum, o tanh(c): 4. Five activations. x, 8 weights, 8 biases, h, c in; h, h, c out; 4 gates and
    # the old c kept.
    assert count.forward == Work(products=16, pointwise=4, transcendental=5, bytes=19 + 3 + 5)
    # gc = grad_c + grad_h o (1 - t t): 5. i, f: gc g (i (1 - i)): 4 each; g: gc i (1 - g g): 4; o: 4; c: gc f: 1.
    # Four sums of biases, one meeting.
    assert count.backward == Work(products=32, pointwise=5 + 16 + 1 + 4 + 1, transcendental=0, bytes=38 + 2 + 2 + 5)


def test_one_number_through_a_gru():
    # The products of h are three, those of x are three. r n.h, its sum, 1 - z, times n, z h, their sum: 6.
    count = cost(gru, **ONE, dtype_bytes=1)
    assert (count.forward.products, count.forward.pointwise, count.forward.transcendental) == (12, 6, 3)


def test_a_diagonal_recurrence_is_pointwise():
    count = cost(indrnn, **(ONE | {"hidden_size": 3}), dtype_bytes=1)
    assert count.forward.products == 2 * 3
    assert count.forward.pointwise == 3 * (1 + 2)
    assert count.forward.bytes == 1 + 3 * 4 + 3 + 3 + 3  # x, w u b b, h; output, final h
    assert count.backward.pointwise == 3 * (2 + 4 + 1 + 1)  # g cmp(y, 0), u twice, the bias, the meeting


def test_without_a_recurrence_there_is_no_product_with_h():
    count = cost(mingru, **(ONE | {"hidden_size": 5, "input_size": 7}))
    assert count.forward.products == 2 * 7 * 2 * 5


def test_vectors_are_summed_over_time():
    plain, peeping = cost(lstm, **ONE), cost(peephole_lstm, **ONE)
    # Forward w c and its sum, three times. Backward: three products for c or tanh(c), each with its sum, three for
    # the vectors, each with its sum over time.
    assert peeping.forward.pointwise - plain.forward.pointwise == 6
    assert peeping.backward.pointwise - plain.backward.pointwise == 6 + 3 + 3


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_operations_grow_in_proportion(cell):
    once = cost(cell, **LARGE).total
    assert cost(cell, **LARGE, population=3).total == Work(*(3 * n for n in vars(once).values()))
    longer = cost(cell, **(LARGE | {"steps": 512})).total
    assert longer.operations == 2 * once.operations
    assert once.bytes < longer.bytes < 2 * once.bytes
    assert cost(cell, **LARGE, dtype_bytes=8).total.bytes == 2 * once.bytes


def test_no_steps_cost_no_operation():
    assert cost(lstm, **(LARGE | {"steps": 0})).total.operations == 0


def test_a_negative_size():
    with pytest.raises(ShapeError, match="batch is -1; a size is 0 or more"):
        cost(lstm, **(ONE | {"batch": -1}))


def test_the_transcendental_operations_are_operations():
    assert set(OPERATIONS) > TRANSCENDENTAL
