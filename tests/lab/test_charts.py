"""How figures look: labels that do not overlap, colours, and files that stay small."""

import doctest
import itertools
import math
import re

import altair as alt
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


@given(heights=st.lists(st.floats(-1, 2), min_size=1, max_size=8))
def test_spread_stays_between_its_ends(heights):
    spread = sorted(charts.spread(heights, gap=0.1, low=0, high=1))
    assert spread[0] >= -1e-9
    assert spread[-1] <= 1 + 1e-9
    assert all(b - a >= 0.1 - 1e-9 for a, b in itertools.pairwise(spread))


def test_a_colour_a_cell_and_grey_for_the_rest():
    scale = charts.colour([str(i) for i in range(9)], quiet=["chance"]).to_dict()["scale"]
    assert scale["domain"] == [*map(str, range(9)), "chance"]
    assert scale["range"] == [*charts.PALETTE, charts.PALETTE[0], charts.QUIET]


def test_what_is_drawn_is_short_and_in_its_place(tmp_path):
    table = pl.DataFrame({"x": [1 / 3, 2 / 3], "words": ["0.123456", "b"]})
    chart = alt.Chart(table).encode(x="x:Q", text="words:N").mark_text()
    svg = charts.draw(charts.styled(chart), tmp_path / "text")
    assert svg == (tmp_path / "text.svg").read_text()
    assert (tmp_path / "text.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert ">0.123456<" in svg  # a number in words is no geometry
    assert not re.search(r'transform="[^"]*\d\.\d{3}', svg)
