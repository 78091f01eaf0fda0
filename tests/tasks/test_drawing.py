"""Drawing: every outcome equally likely, other seeds other bits, and the same numbers for ever."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare, kstest

from ostinato.tasks import drawing


@pytest.mark.parametrize("bound", [1, 2, 7, 10, 1797])
def test_integers_are_equally_likely(bound):
    drawn = drawing.integers(drawing.stream((3, bound)), bound, (500, 100))
    assert drawn.dtype == np.int64
    assert drawn.shape == (500, 100)
    assert chisquare(np.bincount(drawn.ravel(), minlength=bound)).pvalue > 1e-3 or bound == 1
    assert drawn.min() == 0
    assert drawn.max() == bound - 1


def test_uniform_numbers_are_uniform_and_exact():
    drawn = drawing.uniform(drawing.stream((3,)), (500, 100))
    assert drawn.dtype == np.float32
    assert kstest(drawn.ravel(), "uniform").pvalue > 1e-3
    assert (drawn * 2.0**24 == np.floor(drawn * 2.0**24)).all()


def test_uniform_numbers_stay_below_1():
    class Ones:
        def random_raw(self, shape):
            return np.full(shape, 2**64 - 1, dtype=np.uint64)

    assert drawing.uniform(Ones(), 1) == 1 - 2.0**-24


@pytest.mark.parametrize(("bound", "many"), [(5, 3), (4, 4), (6, 1)])
def test_every_ordered_choice_is_equally_likely(bound, many):
    drawn = drawing.distinct(drawing.stream((1, bound)), bound, count=20_000, many=many)
    counts = Counter(map(tuple, drawn.tolist()))
    assert counts.keys() == set(itertools.permutations(range(bound), many))
    assert chisquare(list(counts.values())).pvalue > 1e-3


@given(bound=st.integers(1, 30), count=st.integers(1, 5), seed=st.integers(0, 2**70), data=st.data())
def test_what_is_distinct_is(bound, count, seed, data):
    many = data.draw(st.integers(0, bound))
    rows = drawing.distinct(drawing.stream((seed,)), bound, count, many)
    assert rows.shape == (count, many)
    for row in rows.tolist():
        assert len(set(row)) == many
        assert set(row) <= set(range(bound))


def test_every_order_is_equally_likely():
    bits = drawing.stream((2,))
    counts = Counter(tuple(drawing.order(bits, 4).tolist()) for _ in range(5000))
    assert counts.keys() == set(itertools.permutations(range(4)))
    assert chisquare(list(counts.values())).pvalue > 1e-3


def test_other_seeds_have_other_bits():
    """NumPy's own SeedSequence takes (1,) and (1, 0) for one seed."""
    seeds = [(), (0,), (1,), (0, 0), (0, 1), (1, 0), (1, 1), (1, 0, 0), (2**32 + 1,), (2**64,), (1, 2**40)]
    assert len({drawing.stream(seed).random_raw() for seed in seeds}) == len(seeds)


def test_the_numbers_are_the_same_for_ever():
    bits = drawing.stream((20, 2**40, 1))
    assert drawing.integers(bits, 100, (2, 3)).tolist() == [[91, 98, 53], [17, 66, 45]]
    assert (drawing.uniform(bits, 3) * 2**24).tolist() == [4737251, 8361876, 2728909]
    assert drawing.distinct(bits, 10, 1, 5).tolist() == [[6, 7, 9, 2, 4]]
    assert drawing.order(bits, 6).tolist() == [0, 4, 2, 3, 1, 5]
