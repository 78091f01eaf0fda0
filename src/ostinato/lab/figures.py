"""The figures of an experiment on memory: scores, losses, distributions and steps to solve, every seed in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from math import ceil, floor, log10

import altair as alt
import polars as pl

from .charts import INK, QUIET, colour, spread, styled
from .measure import Measure

#: Of the part of a figure that holds data, in pixels.
_WIDTH = 720

#: Bands of more cells than this lie over each other and hide what they show; the tables hold them all.
_MOST_BANDS = 3


@dataclass(frozen=True)
class _Axis:
    """The scale of a metric: 0 to 1 for an accuracy, whole decades for an mse."""

    measure: Measure
    values: Sequence[float]

    @cached_property
    def domain(self) -> tuple[float, float]:
        if self.measure.metric == "accuracy":
            return 0.0, 1.0
        exponents = [log10(value) for value in self.values if value > 0] or [0.0]
        low, high = floor(min(exponents)), ceil(max(exponents))
        return 10.0**low, 10.0 ** max(high, low + 1)

    @property
    def worst(self) -> float:
        return self.domain[0] if self.measure.higher_is_better else self.domain[1]

    @property
    def scale(self) -> alt.Scale:
        kind = "linear" if self.measure.metric == "accuracy" else "log"
        return alt.Scale(type=kind, domain=list(self.domain), nice=False, clamp=True)

    def ticks(self) -> alt.Axis:
        if self.measure.metric == "accuracy":
            return alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
        return alt.Axis(format="~g", values=_decades(*self.domain))

    def spread(self, values: Sequence[float], gap: float) -> list[float]:
        """The values moved apart by at least `gap`, a share of the axis, along the axis."""
        low, high = self.domain
        if self.measure.metric == "accuracy":
            return spread(values, gap, 0, 1)
        size = log10(high / low)
        places = [min(1, max(0, log10(max(value, low) / low) / size)) for value in values]
        return [low * 10 ** (size * place) for place in spread(places, gap, 0, 1)]


def score_figure(
    summary: pl.DataFrame, networks: pl.DataFrame, measure: Measure, chance: Mapping[int, float]
) -> alt.TopLevelMixin:
    """The metric on test against length: means with 95 % intervals, every network a faint dot, chance dashed.

    Args:
        summary, networks: the tables of these names.
        chance: the score of an answer that looks at nothing, by length.
    """
    cells, lengths = _cells(summary), summary["length"].unique().sort().to_list()
    axis = _Axis(measure, [*networks["test"].drop_nulls(), *chance.values(), measure.threshold])
    right, slot = len(lengths) - 0.5, min(0.1 * len(lengths), 0.4, 0.8 / len(cells))
    place = pl.col("length").replace_strict(lengths, range(len(lengths)), return_dtype=pl.Float64)
    place += slot * (pl.col("cell").replace_strict(cells, range(len(cells))) - (len(cells) - 1) / 2)
    means = summary.drop_nulls("test").select("cell", x=place, y="test", low="test_low", high="test_high")
    dots = networks.select("cell", x=place + 0.7 * slot * _jitter, y="test")
    crosses = dots.filter(pl.col("y").is_null()).with_columns(y=pl.lit(axis.worst))
    floors = [chance[length] for length in lengths]
    dashes = pl.DataFrame({"x": [-0.5, *range(len(lengths)), right], "y": [floors[0], *floors, floors[-1]]})
    goal = pl.DataFrame({"x": [-0.5, right], "y": [measure.threshold] * 2})

    x = alt.X(
        "x:Q",
        title="length of the sequence",
        scale=alt.Scale(domain=[-0.5, right], nice=False),
        axis=alt.Axis(values=list(range(len(lengths))), labelExpr=f"{lengths}[datum.value]", grid=False),
    )
    y = alt.Y("y:Q", title=None, scale=axis.scale, axis=axis.ticks())
    low = alt.Y("low:Q", title=None, scale=axis.scale)
    ink = colour(cells, quiet=["chance", "solved"])
    layers = [
        alt.Chart(dashes).encode(x, y).mark_line(color=QUIET, strokeDash=[5, 4], strokeWidth=1.2),
        alt.Chart(goal).encode(x, y).mark_line(color=QUIET, strokeDash=[1, 3], strokeWidth=1.2),
        alt.Chart(dots.drop_nulls("y")).encode(x, y, ink).mark_circle(size=_size(dots), opacity=0.35, aria=False),
        alt.Chart(crosses).encode(x, y, ink).mark_point(shape="cross", angle=45, size=50, filled=True, opacity=0.8),
        alt.Chart(means).encode(x, y, ink).mark_line(strokeWidth=2.2, strokeJoin="round"),
        alt.Chart(means.drop_nulls("low")).encode(x, low, alt.Y2("high"), ink).mark_rule(strokeWidth=2.6),
        alt.Chart(means).encode(x, y, ink).mark_point(size=70, filled=True, opacity=1, stroke="white"),
    ]
    ends = means.sort("x").unique("cell", keep="last", maintain_order=True).select("cell", "x", "y")
    lines = pl.DataFrame({"cell": ["chance", "solved"], "x": [right] * 2, "y": [floors[-1], measure.threshold]})
    layers += _names(pl.concat([ends, lines]), right + 0.03 * len(lengths), x, y, ink, axis)
    words = "small dot: one seed; large dot: mean and its 95% interval" if means["low"].count() else "one seed"
    title = alt.Title(
        f"{measure.name.capitalize()} on test against length",
        subtitle=_subtitle(words, len(crosses) > 0),
    )
    return styled(alt.layer(*layers).properties(width=_WIDTH, height=390, title=title))


def _names(ends: pl.DataFrame, end: float, x: alt.X, y: alt.Y, ink: alt.Color, axis: _Axis) -> list[alt.Chart]:
    """A name beside the end of each line, none over another, and a thin line that leads to it."""
    ends = ends.with_columns(end=pl.lit(end), height=pl.Series(axis.spread(ends["y"].to_list(), 0.055)))
    height = alt.Y("height:Q", title=None, scale=axis.scale)
    leaders = alt.Chart(ends).encode(x, y, alt.X2("end"), alt.Y2("height"), ink)
    names = alt.Chart(ends).encode(alt.X("end:Q"), height, ink, text="cell:N")
    return [
        leaders.mark_rule(strokeWidth=0.8, opacity=0.6),
        names.mark_text(align="left", dx=4, fontSize=14, fontWeight="bold"),
    ]


def loss_figure(curves: pl.DataFrame) -> alt.TopLevelMixin:
    """Loss against steps, a panel a length, a colour a cell: the median over seeds, and where 10 to 90 % of them are.

    `curves` is the table of that name. The axis is logarithmic if the medians go over more than two decades.
    """
    cells, medians = _cells(curves), [*curves["train_loss"].drop_nulls(), *curves["dev_loss"].drop_nulls()]
    top = max(medians, default=1.0) or 1.0
    bottom = max(min(medians, default=1.0), 1e-6 * top)
    log = top > 100 * bottom
    domain = [10.0 ** floor(log10(bottom)), 10.0 ** ceil(log10(top))] if log else [0, 1.1 * top]
    scale = alt.Scale(type="log" if log else "linear", domain=domain, nice=False, clamp=True)
    ticks = alt.Axis(values=_decades(*domain), format="~g") if log else alt.Axis(tickCount=4)
    ink = colour(cells, _LEGEND)

    def panel(part: pl.DataFrame) -> list[alt.Chart]:
        # Steps whose every loss is no number leave a gap, and what is below a logarithmic axis lies on its end.
        part = part.with_columns(pl.col("^(train|dev)_loss.*$").clip(*domain))
        chart = alt.Chart(part).encode(alt.X("step:Q", axis=_STEPS, scale=alt.Scale(nice=False)), ink)
        layers = []
        for kind, opacity in (("train_loss", 0.08), ("dev_loss", 0.18)):
            y = alt.Y(f"{kind}_low:Q", title=None, scale=scale, axis=ticks)
            if len(cells) <= _MOST_BANDS:
                layers.append(chart.encode(y, alt.Y2(f"{kind}_high")).mark_area(opacity=opacity, aria=False))
        for kind, width, dash in (("train_loss", 1.3, [4, 2]), ("dev_loss", 2.2, [1, 0])):
            y = alt.Y(f"{kind}:Q", title=None, scale=scale, axis=ticks)
            layers.append(chart.encode(y).mark_line(strokeJoin="round", strokeWidth=width, strokeDash=dash))
        return layers

    words = "strong: dev; dashed: training"
    if max(curves["seeds"], default=0) > 1:
        words += "; median over seeds" + ("; band: 10% to 90% of them" if len(cells) <= _MOST_BANDS else "")
    title = alt.Title("Loss against steps", subtitle=words)
    return _panels(curves, panel, title, height=170)


def distribution_figure(
    quartiles: pl.DataFrame, networks: pl.DataFrame, measure: Measure, chance: Mapping[int, float]
) -> alt.TopLevelMixin:
    """The scores on test, a panel a length, a row a cell: every network a dot, the middle half in a box, the median.

    Args:
        quartiles, networks: the tables `distribution_table` and `network_table`.
        chance: the score of an answer that looks at nothing, by length.
    """
    cells = _cells(quartiles)
    axis = _Axis(measure, [*networks["test"].drop_nulls(), *chance.values(), measure.threshold])
    row = pl.col("cell").replace_strict(cells, range(len(cells)), return_dtype=pl.Float64)
    networks = networks.with_columns(y=row + 0.62 * _jitter)
    rows = alt.Scale(domain=[len(cells) - 0.45, -0.55], nice=False)
    names = alt.Axis(
        values=list(range(len(cells))), labelExpr=f"{cells}[datum.value]", grid=False, labelFontSize=13, labelColor=INK
    )
    y = alt.Y("y:Q", title=None, scale=rows, axis=names)
    ink = colour(cells)

    def panel(part: pl.DataFrame) -> list[alt.Chart]:
        length = part["length"][0]
        boxes = part.drop_nulls("median").with_columns(y=row, top=row - 0.38, bottom=row + 0.38)
        dots = networks.filter(length=length).select("cell", "y", x="test")
        crosses = dots.filter(pl.col("x").is_null()).with_columns(x=pl.lit(axis.worst))
        x = alt.X("x:Q", title=None, scale=axis.scale, axis=axis.ticks())
        marks = pl.DataFrame({"x": [chance[length], measure.threshold], "kind": ["chance", "solved"]})
        box = alt.Chart(boxes).encode(alt.Y("top:Q", title=None, scale=rows, axis=names), alt.Y2("bottom"), ink)
        return [
            alt.Chart(marks.head(1)).encode(x).mark_rule(color=QUIET, strokeDash=[5, 4], strokeWidth=1.2),
            alt.Chart(marks.tail(1)).encode(x).mark_rule(color=QUIET, strokeDash=[1, 3], strokeWidth=1.2),
            box.encode(alt.X("quarter:Q", scale=axis.scale), alt.X2("three_quarters")).mark_rect(opacity=0.16),
            alt.Chart(dots.drop_nulls("x")).encode(x, y, ink).mark_circle(size=_size(dots), opacity=0.55, aria=False),
            alt.Chart(crosses).encode(x, y, ink).mark_point(shape="cross", angle=45, size=40, filled=True, opacity=0.8),
            box.encode(alt.X("median:Q", scale=axis.scale)).mark_rule(strokeWidth=3),
        ]

    words = "dot: one seed; box: middle half; line: median; dashed: chance; dotted: solved"
    words = _subtitle(words, networks["test"].null_count() > 0)
    title = alt.Title(f"{measure.name.capitalize()} on test, seed by seed", subtitle=words)
    return _panels(quartiles, panel, title, height=30 + 30 * len(cells))


def solving_figure(solving: pl.DataFrame, measure: Measure) -> alt.TopLevelMixin:
    """The share of networks that have reached the threshold on dev against steps, a panel a length, a colour a cell.

    `solving` is the table of that name. A network that never does keeps its line below 100 %.
    """
    cells, last = _cells(solving), max(solving["step"].to_list())
    shown = cells if len(cells) <= _MOST_BANDS else []
    ink, scale = colour(cells, _LEGEND), alt.Scale(domain=[0, 1])
    ticks = alt.Axis(format=".0%", values=[0, 0.25, 0.5, 0.75, 1])
    right = last * (1 + 0.05 * len(shown))
    x = partial(alt.X, axis=_STEPS, scale=alt.Scale(domain=[0, right], nice=False))
    y = partial(alt.Y, title=None, scale=scale, axis=ticks)

    def panel(part: pl.DataFrame) -> list[alt.Chart]:
        ends = part.unique("cell", keep="last", maintain_order=True).with_columns(right=pl.lit(right))
        ends = ends.with_columns(
            words=pl.format("{}/{}", "solved", "seeds"),
            height=pl.Series(spread(ends["share"].to_list(), 0.09, 0, 1)),
        )
        ranges = ends.filter(pl.col("cell").is_in(shown)).with_columns(
            step=last * (1 + 0.05 * (0.5 + pl.col("cell").replace_strict(cells, range(len(cells)))))
        )
        counts = alt.Chart(ends).encode(x("right:Q"), y("height:Q"), ink, text="words")
        return [
            alt.Chart(part).encode(x("step:Q"), y("share:Q"), ink).mark_line(interpolate="step-after", strokeWidth=2.2),
            alt.Chart(ranges)
            .encode(x("step:Q"), y("low:Q"), alt.Y2("high"), ink)
            .mark_rule(strokeWidth=2.6, opacity=0.6),
            counts.mark_text(align="left", dx=6, fontWeight="bold"),
        ]

    words = f"share that has had {measure.goal} on dev, against steps" + (
        "; bar: its 95% interval at the end" if shown else ""
    )
    title = alt.Title("Networks that have solved the task", subtitle=words)
    return _panels(solving, panel, title, height=170)


#: -0.5 to 0.5 for each seed, 0 for the first; neighbours are far from each other (the golden ratio).
_jitter = (0.6180339887 * (pl.col("seed").rank("dense") - 1) + 0.5) % 1 - 0.5

_STEPS = alt.Axis(title=None, tickCount=4, format=",d", grid=False)

_LEGEND = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=4, symbolOpacity=1)


def _panels(
    table: pl.DataFrame, panel: Callable[[pl.DataFrame], list[alt.Chart]], title: alt.Title, height: int
) -> alt.TopLevelMixin:
    """A panel a length, at most three beside each other, as wide together as one figure."""
    parts = table.sort("length", maintain_order=True).partition_by("length", maintain_order=True)
    columns = 2 if len(parts) == 4 else min(3, len(parts))
    width = _WIDTH // columns - 24
    panels = [
        alt.layer(*panel(part)).properties(width=width, height=height, title=f"length {part['length'][0]}")
        for part in parts
    ]
    return styled(alt.concat(*panels, columns=columns, spacing=24, title=title))


def _cells(table: pl.DataFrame) -> list[str]:
    return table["cell"].unique(maintain_order=True).to_list()


def _decades(low: float, high: float) -> list[float]:
    """The powers of ten from one to another, at most seven or so."""
    first, last = round(log10(low)), round(log10(high))
    return [10.0**exponent for exponent in range(first, last + 1, ceil((last - first) / 6))]


def _size(dots: pl.DataFrame) -> int:
    """Of a dot, in square pixels: small where there are many."""
    return 26 if len(dots) <= 400 else 10


def _subtitle(words: str, lost: bool) -> str:
    return words + ("; cross at the edge: diverged, without a score" if lost else "")
