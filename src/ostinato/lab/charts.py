"""How every figure looks, and how it is drawn: PNG and SVG without a browser and without a network."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import cycle
from math import inf
from pathlib import Path
from statistics import fmean
from typing import Any

import altair as alt
import vl_convert

from ..files import write_atomically

#: Okabe & Ito, Color Universal Design, 2008: told apart by every kind of colour vision. Without the yellow, which is
#: too light for a line on white.
PALETTE = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#7F7F7F")

INK, QUIET, GRID = "#222222", "#6B6B6B", "#E8E8E8"
FONT = "Helvetica Neue, Helvetica, Arial, sans-serif"


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
