"""The tables of a run: what is counted, what is left out, and in which order."""

import doctest
import itertools
import math
import subprocess
import sys
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import memory_run
from ostinato.errors import DataError
from ostinato.lab import measure as measures
from ostinato.lab import statistics, tables
from ostinato.lab.grid import Grid
from ostinato.lab.measure import Measure

ACCURACY, MSE = Measure("accuracy", 0.9), Measure("mse", 0.01)

RUN = memory_run.results(lengths=(20, 10), seeds=8, diverged=2)


def test_worked_examples():
    assert doctest.testmod(measures).failed == 0


def test_a_measure_knows_what_is_better():
    assert ACCURACY.solved([0.9, 0.89, math.nan]).tolist() == [True, False, False]
    assert MSE.solved([0.01, 0.011, math.nan]).tolist() == [True, False, False]
    assert ACCURACY.text(1.0) == "100%"
    assert ACCURACY.goal == "an accuracy of at least 90%"
    assert MSE.goal == "a mean squared error of at most 0.01"
    assert (ACCURACY.difference(-0.123), MSE.difference(0.0123)) == ("-12.3", "+0.012")


def test_the_summary_counts_everyone_and_averages_who_has_a_score():
    table = tables.summary_table(RUN, ACCURACY)
    assert table.select("length", "cell").rows() == [(10, "srn"), (10, "lstm"), (20, "srn"), (20, "lstm")]
    row = table.row(by_predicate=(pl.col("length") == 10) & (pl.col("cell") == "srn"), named=True)
    members = [
        r for r in RUN if (r.cell, r.length) == ("srn", 10)
    ]  # the last length that was made, so that it diverges
    scores = [r.test for r in members if not math.isnan(r.test)]
    assert (row["seeds"], row["diverged"], row["scored"]) == (8, 2, 6)
    expected = statistics.mean(scores, (0, 1))
    assert (row["test"], row["test_low"], row["test_high"]) == expected[:3]
    assert row["solved"] == sum(score >= 0.9 for score in scores) / 8
    assert row["solved_low"] < row["solved"] < row["solved_high"]


def test_the_summary_does_not_depend_on_the_order_of_the_networks():
    again = tables.summary_table(RUN[:1] + RUN[:0:-1], ACCURACY)
    assert again.equals(tables.summary_table(RUN, ACCURACY))


def test_median_steps_are_those_of_half_of_all_seeds():
    def median(solved):
        made = [replace(RUN[0], seed=i, solved_step=step) for i, step in enumerate(solved)]
        return tables.summary_table(made, ACCURACY)["median_steps"][0]

    assert median([300, 100, None]) == 300
    assert median([300, None, None]) is None
    assert median([200, 100, None, None]) == 200
    assert median([None]) is None


def test_a_network_without_a_score_leaves_nulls():
    lost = [replace(RUN[0], dev=math.nan, test=math.nan, status="diverged")]
    (row,) = tables.summary_table(lost, ACCURACY).rows(named=True)
    assert (row["test"], row["test_low"], row["dev"], row["solved"]) == (None, None, None, 0)
    (row,) = tables.distribution_table(lost, ACCURACY).rows(named=True)
    assert (row["scored"], row["median"]) == (0, None)
    assert tables.network_table(lost)["test"].to_list() == [None]


def test_curves_are_quantiles_over_seeds():
    table = tables.curve_table(RUN).filter(length=20, cell="lstm")
    curves = np.array([r.curve.dev_loss for r in RUN if (r.cell, r.length) == ("lstm", 20)])
    assert table["step"].to_list() == RUN[-1].curve.step
    for name, q in (("dev_loss_low", 0.1), ("dev_loss", 0.5), ("dev_loss_high", 0.9)):
        assert table[name].to_list() == pytest.approx(np.quantile(curves, q, axis=0))


def test_curves_leave_out_what_is_no_number():
    table = tables.curve_table(RUN).filter(length=10, cell="srn")
    assert table["seeds"].to_list() == [8, *[6] * (len(table) - 1)]
    assert table.null_count().sum_horizontal()[0] == 0


def test_solving_is_a_staircase_of_all_seeds():
    table = tables.solving_table(RUN)
    for part in table.partition_by("length", "cell"):
        members = [r for r in RUN if (r.cell, r.length) == (part["cell"][0], part["length"][0])]
        assert (part["step"][0], part["step"][-1]) == (0, max(r.steps for r in members))
        assert all(a < b for a, b in itertools.pairwise(part["step"]))
        assert part["solved"][-1] == sum(r.solved_step is not None for r in members)
        assert part["seeds"].unique().to_list() == [8]
        for step, solved in part.select("step", "solved").rows():
            assert solved == sum(r.solved_step is not None and r.solved_step <= step for r in members)


def test_differences_pair_the_seeds():
    # Seed by seed `a` is 0.1 better, whatever the order in which seeds and scores come.
    scores = [0.7, 0.1, 0.4, 0.3, 0.6, 0.0, 0.5, 0.2]
    a = [replace(RUN[0], cell="a", length=n, seed=i, test=scores[i] + 0.1) for n in (1, 2) for i in range(8)]
    b = [replace(RUN[0], cell="b", length=n, seed=i, test=scores[i]) for n in (1, 2) for i in reversed(range(8))]
    table = tables.difference_table(a + b, ACCURACY)
    assert table["difference"].to_list() == pytest.approx([0.1, 0.1])
    assert table["low"].to_list() == pytest.approx([0.1, 0.1])
    assert table["p_value"].to_list() == pytest.approx([2 / 2**8] * 2)
    assert table["adjusted"].to_list() == pytest.approx([2 / 2**8] * 2)


def test_one_cell_has_no_differences():
    table = tables.difference_table([RUN[0]], ACCURACY)
    assert table.columns[-2:] == ["adjusted", "method"]
    assert len(table) == 0


def test_spans():
    made = [
        replace(RUN[0], length=n, seed=i, test=1.0 if good else 0.5)
        for n, good in ((10, True), (20, False))
        for i in range(4)
    ]
    assert tables.span_table(made, ACCURACY).rows() == [("srn", 4, 10, 10, 10)]
    assert tables.span_table(made[:1], ACCURACY).rows() == [("srn", 1, 10, None, None)]
    assert tables.span_table(made, MSE)["span"].to_list() == [0]


def test_the_grid_knows_what_is_missing():
    grid = Grid(RUN[:-1], ACCURACY)
    assert (grid.cells, grid.lengths, grid.seeds) == (["srn", "lstm"], [10, 20], list(range(8)))
    assert grid.run.sum() == len(RUN) - 1
    assert np.isnan(grid.solved).sum() == 1
    diverged = grid.run & np.isnan(grid.test)
    assert diverged.sum() == 2
    assert (grid.solved[diverged] == 0).all()


def test_no_result_and_a_result_twice_are_refused():
    with pytest.raises(DataError, match="no result yet"):
        tables.summary_table([], ACCURACY)
    with pytest.raises(DataError, match="two results of srn at length 20 with seed 0"):
        tables.summary_table([RUN[0], RUN[0]], ACCURACY)


def test_tables_and_words_do_without_torch():
    names = ", ".join(f"ostinato.lab.{name}" for name in ("statistics", "tables", "conclusions", "results"))
    subprocess.run([sys.executable, "-c", f"import {names}, sys; assert 'torch' not in sys.modules"], check=True)
