"""How every figure looks, and how it is drawn: PNG and SVG without a browser and without a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

import altair as alt
import polars as pl
import vl_convert

from ..files import write_atomically

#: Okabe & Ito, Color Universal Design, 2008: told apart by every kind of colour vision. Without the yellow, which is
#: too light for a line on white.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")

INK, QUIET, GRID = "#222222", "#6B6B6B", "#E8E8E8"
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"


def accuracy_chart(table: pl.DataFrame) -> alt.TopLevelMixin:
    """Accuracy against length, test and dev side by side, a colour a cell, chance dashed.

    `table` has the columns cell, length, dev_accuracy, test_accuracy and majority.
    """
    test = _accuracy_panel(table, "test_accuracy", "Test accuracy")
    dev = _accuracy_panel(table, "dev_accuracy", "Dev accuracy, by which the model was chosen")
    return styled(alt.hconcat(test, dev, spacing=40))


def _accuracy_panel(table: pl.DataFrame, column: str, title: str) -> alt.FacetChart | alt.LayerChart:
    lengths = table["length"].unique().sort().to_list()
    margin = 0.05 * (lengths[-1] - lengths[0]) or 1
    left, right = lengths[0] - margin, lengths[-1] + margin
    domain = alt.Scale(domain=[left, right], nice=False)
    x = alt.X("length:Q", title="length of the sequence", scale=domain, axis=alt.Axis(values=lengths, grid=False))
    y = partial(alt.Y, title=None, scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(format=".0%", tickCount=5))
    color = colour(table["cell"].unique(maintain_order=True).to_list(), legend=None)
    curves = alt.Chart(table).encode(x=x, y=y(column), color=color)
    ends = table.sort("length").unique("cell", keep="last", maintain_order=True)
    ends = ends.with_columns(height=pl.Series(spread(ends[column].to_list(), gap=0.06)))
    names = alt.Chart(ends).encode(x=x, y=y("height"), color=color, text="cell:N")
    majority = table.unique("length").sort("length")["majority"].to_list()
    floor = pl.DataFrame({"length": [left, *lengths, right], "majority": [majority[0], *majority, majority[-1]]})
    chance = alt.Chart(floor).encode(x=x, y=y("majority"))
    word = alt.Chart(floor.head(1)).encode(x=x, y=y("majority"))
    return alt.layer(
        chance.mark_line(color=QUIET, strokeDash=[5, 4], strokeWidth=1.2),
        word.mark_text(align="left", baseline="top", dy=6, color=QUIET, text="always the most frequent sum"),
        curves.mark_line(strokeWidth=2.5),
        curves.mark_point(size=60, filled=True, opacity=1),
        names.mark_text(align="left", dx=12, fontSize=15, fontWeight="bold"),
    ).properties(width=330, height=290, title=title)


def loss_chart(table: pl.DataFrame) -> alt.TopLevelMixin:
    """Loss against steps, a panel a length, a colour a cell: dev strong, train thin, a dot where the best model was.

    `table` has the columns cell, length, step, train_loss, dev_loss and best.
    """
    losses = pl.col("train_loss", "dev_loss")
    table = table.with_columns(pl.when(losses.is_finite()).then(losses))  # a diverged network leaves a gap
    top = max(3.2, table["dev_loss"].quantile(0.98) or 0.0)
    panels = [_loss_panel(part, top) for part in table.sort("length").partition_by("length")]
    title = alt.Title("Cross-entropy", subtitle="strong: dev; thin: training; dot: the model that was kept")
    return styled(alt.concat(*panels, columns=2 if len(panels) == 4 else 3, spacing=24, title=title))


def _loss_panel(table: pl.DataFrame, top: float) -> alt.FacetChart | alt.LayerChart:
    x = alt.X("step:Q", scale=alt.Scale(nice=False), axis=alt.Axis(tickCount=4, format=",d", grid=False))
    scale = alt.Scale(domain=[0, top], clamp=True)
    color = colour(
        table["cell"].unique(maintain_order=True).to_list(),
        legend=alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=4),
    )
    curves = alt.Chart(table).encode(x=x, color=color)
    dev = alt.Y("dev_loss:Q", title=None, scale=scale, axis=alt.Axis(tickCount=5))
    best = alt.Chart(table.filter("best")).encode(x=x, y=dev, color=color)
    return alt.layer(
        curves.mark_line(strokeWidth=0.9, strokeJoin="round").encode(y=alt.Y("train_loss:Q", title=None, scale=scale)),
        curves.mark_line(strokeWidth=2.2, strokeJoin="round").encode(y=dev),
        best.mark_point(size=70, filled=True, opacity=1, stroke="white", strokeWidth=1.5),
    ).properties(width=225, height=170, title=f"length {table['length'][0]}")


def spread(heights: Sequence[float], gap: float, low: float = -inf, high: float = inf) -> list[float]:
    """The heights moved apart, so that labels at them are at least `gap` from each other, in their old order.

    They stay between `low` and `high` if there is room for them all; if there is not, the lowest is at `low`.

    Example:
        >>> spread([0.5, 2.0, 0.5], gap=0.5)
        [0.25, 2.0, 0.75]
        >>> spread([0.5, 2.0, 0.5], gap=0.5, low=0.5, high=1.5)
        [0.5, 1.5, 1.0]
    """
    # Least squares: what is left when the gaps are taken off has to rise, so neighbours that fall share their mean.
    order = sorted(range(len(heights)), key=heights.__getitem__)
    blocks: list[list[float]] = []
    for rank, i in enumerate(order):
        blocks.append([heights[i] - rank * gap])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    highest = high - (len(heights) - 1) * gap
    rising = [max(low, min(highest, fmean(block))) for block in blocks for _ in block]
    moved = {i: rising[rank] + rank * gap for rank, i in enumerate(order)}
    return [moved[i] for i in range(len(heights))]


def draw(chart: alt.TopLevelMixin, path: Path) -> str:
    """Write `path`.png, for slides, and `path`.svg; returns the SVG."""
    description = chart.to_json()
    svg = re.sub(r' (d|transform)="[^"]*"', _rounded, vl_convert.vegalite_to_svg(description))
    write_atomically(path.with_suffix(".svg"), svg.encode())
    write_atomically(path.with_suffix(".png"), vl_convert.vegalite_to_png(description, scale=2))
    return svg


def _rounded(geometry: re.Match[str]) -> str:
    """A path or a place to the hundredth of a pixel: thousands of dots stay small."""
    return re.sub(r"\d+\.\d{3,}", lambda number: f"{float(number[0]):.2f}", geometry[0])


def colour(cells: Sequence[str], legend: alt.Legend | None = None, quiet: Sequence[str] = ()) -> alt.Color:
    """A colour a cell, in the order of the palette, and grey for what is `quiet`."""
    inks = [ink for ink, _ in zip(cycle(PALETTE), cells, strict=False)] + [QUIET] * len(quiet)
    return alt.Color("cell:N", scale=alt.Scale(domain=[*cells, *quiet], range=inks), legend=legend)


def styled(chart: Any) -> alt.TopLevelMixin:
    """The chart with the fonts and colours of the library."""
    return (
        chart.configure(font=FONT, background="white", padding=12)
        .configure_view(stroke=None)
        .configure_title(
            anchor="start",
            fontSize=15,
            fontWeight=600,
            color=INK,
            offset=10,
            subtitleFontSize=13,
            subtitleColor=QUIET,
            subtitlePadding=5,
        )
        .configure_axis(
            domain=False,
            ticks=False,
            gridColor=GRID,
            labelColor=QUIET,
            labelFontSize=12,
            labelPadding=6,
            titleColor=QUIET,
            titleFontSize=12,
            titleFontWeight="normal",
            titlePadding=8,
        )
        .configure_legend(labelFontSize=13, labelColor=INK)
        .configure_text(fontSize=12)
    )
