import math

import numpy as np
import pytest

from ostinato.lab import statistics
from ostinato.lab.comparison import compare, differing
from ostinato.lab.results import Curve, Result


def result(cell, length, seed, test):
    return Result(cell, length, seed, test, test, 1, None, 1, "finished", 1.0, Curve())


def test_a_row_a_cell_and_length_of_either():
    a = [result("srn", 20, 0, 0.5), result("lstm", 10, 0, 0.5)]
    b = [result("gru", 10, 0, 0.5), result("srn", 20, 0, 0.5), result("srn", 9, 0, 0.5)]
    rows = compare(a, b)
    assert [(row.length, row.cell) for row in rows] == [(9, "srn"), (10, "lstm"), (10, "gru"), (20, "srn")]
    assert [(row.count_a, row.count_b, row.paired.mean.count) for row in rows] == [
        (0, 1, 0),
        (1, 0, 0),
        (0, 1, 0),
        (1, 1, 1),
    ]
    assert [math.isnan(row.difference) for row in rows] == [True, True, True, False]


def test_b_minus_a_over_all_networks_and_seed_by_seed():
    a = [result("srn", 10, seed, test) for seed, test in [(0, 0.1), (1, 0.2), (2, 0.3), (3, math.nan)]]
    b = [result("srn", 10, seed, test) for seed, test in [(3, 0.9), (2, 0.5), (1, 0.6), (7, 0.8)]]
    (row,) = compare(a, b)
    assert (row.count_a, row.count_b) == (3, 4)
    assert row.a == pytest.approx(0.2)
    assert row.b == pytest.approx(0.7)
    assert row.difference == pytest.approx(0.5)
    assert row.paired == statistics.paired([0.6, 0.5], [0.2, 0.3])
    assert row.paired.mean.estimate == pytest.approx(0.3)


def test_a_run_against_itself():
    results = [result("srn", 10, seed, test) for seed, test in enumerate(np.linspace(0, 1, 8))]
    (row,) = compare(results, results)
    assert (row.difference, row.paired.mean.estimate, row.paired.p_value) == (0, 0, 1)


def test_no_results():
    assert compare([], []) == []


def test_differing():
    a = {"seeds": 2, "lengths": [10], "only a": 1, "none": None}
    b = {"lengths": [10, 20], "seeds": 2, "only b": [2]}
    assert differing(a, b) == {"lengths": ([10], [10, 20]), "only a": (1, None), "only b": (None, [2])}
