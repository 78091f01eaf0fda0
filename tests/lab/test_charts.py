"""Figures: labels that do not overlap, and losses that are not numbers."""

import doctest
import itertools
import math

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostinato.lab import charts


def test_worked_example():
    assert doctest.testmod(charts).failed == 0


@given(heights=st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_spread_keeps_the_order_and_the_gap(heights):
    spread = charts.spread(heights, gap=0.1)
    order = sorted(range(len(heights)), key=heights.__getitem__)
    moved = [spread[i] for i in order]
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(moved))
    assert math.isclose(sum(spread), sum(heights), abs_tol=1e-9)  # the least squares do not drift


@given(heights=st.lists(st.integers(0, 50), min_size=1, max_size=8, unique=True))
def test_what_has_its_gap_is_not_moved(heights):
    assert charts.spread(heights, gap=1) == pytest.approx(heights)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_diverged_network_is_drawn(tmp_path, bad):
    columns = {"cell": ["srn"] * 3, "length": [5] * 3, "step": [1, 2, 3], "best": [True, False, False]}
    table = pl.DataFrame({**columns, "train_loss": [2.0, bad, bad], "dev_loss": [2.5, bad, bad]})
    svg = charts.draw(charts.loss_chart(table), tmp_path / "loss")
    assert svg == (tmp_path / "loss.svg").read_text()
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
