"""The tables of a run, one behind every figure: from one row a network to one row a cell and length."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import polars as pl

from . import statistics
from .grid import Grid
from .measure import Measure
from .results import Result


def network_table(results: Sequence[Result]) -> pl.DataFrame:
    """A row a network, with everything but its curve; a score that is no number is null."""
    names = ("cell", "length", "seed", "dev", "test", "best_step", "solved_step", "steps", "status", "seconds")
    table = pl.DataFrame(
        {name: [getattr(r, name) for r in results] for name in names},
        schema_overrides={"dev": pl.Float64, "test": pl.Float64, "solved_step": pl.Int64, "seconds": pl.Float64},
    )
    return table.with_columns(_numbers("dev", "test"))


def summary_table(results: Sequence[Result], measure: Measure) -> pl.DataFrame:
    """A row a length and cell, by length, with the mean over seeds and its 95 % interval.

    Columns: length, cell; seeds, the networks that were run; diverged, how many of these; scored, those with a test
    score, which the means are over; test, test_low, test_high, the mean and its interval, with the method in interval;
    dev, a mean; solved, solved_low, solved_high, the share of *all* seeds that solved the task on test, with Wilson's
    interval; median_steps, after which half of all seeds had reached the threshold on dev, null if fewer ever did.
    """
    grid = Grid(results, measure)
    rows = []
    for length, cell, members in _groups(results):
        test = statistics.mean(grid.scores(cell, length), measure.bounds)
        dev = [r.dev for r in members if np.isfinite(r.dev)]
        share = statistics.share(int(measure.solved([r.test for r in members]).sum()), len(members))
        rows.append(
            {
                "length": length,
                "cell": cell,
                "seeds": len(members),
                "diverged": sum(r.status == "diverged" for r in members),
                "scored": test.count,
                "test": test.estimate,
                "test_low": test.low,
                "test_high": test.high,
                "interval": test.method,
                "dev": float(np.mean(dev)) if dev else None,
                "solved": share.estimate,
                "solved_low": share.low,
                "solved_high": share.high,
                "median_steps": _median_steps(members),
            }
        )
    table = pl.DataFrame(rows, schema_overrides={"dev": pl.Float64, "median_steps": pl.Int64}, infer_schema_length=None)
    return table.with_columns(_numbers("test", "test_low", "test_high"))


def distribution_table(results: Sequence[Result], measure: Measure) -> pl.DataFrame:
    """A row a length and cell: the quartiles of the test scores, and how many seeds have one."""
    grid = Grid(results, measure)
    rows = []
    for length, cell, _ in _groups(results):
        scores = grid.scores(cell, length)
        quartiles = np.quantile(scores, [0, 0.25, 0.5, 0.75, 1]).tolist() if scores.size else [None] * 5
        names = ("lowest", "quarter", "median", "three_quarters", "highest")
        rows.append({"length": length, "cell": cell, "scored": scores.size, **dict(zip(names, quartiles, strict=True))})
    return pl.DataFrame(rows, schema_overrides=dict.fromkeys(names, pl.Float64), infer_schema_length=None)


def curve_table(results: Sequence[Result]) -> pl.DataFrame:
    """A row a length, cell and evaluation: median, 10 % and 90 % quantile over the seeds of each loss and of dev.

    A loss that is no number is left out; `seeds` says how many there were.
    """
    kinds = ("train_loss", "dev_loss", "dev")
    columns = ["step", *kinds]
    lists = pl.DataFrame(
        {"length": [r.length for r in results], "cell": [r.cell for r in results]}
        | {name: [getattr(r.curve, name) for r in results] for name in columns},
        schema_overrides={"step": pl.List(pl.Int64)} | dict.fromkeys(kinds, pl.List(pl.Float64)),
    )
    order = {cell: i for i, cell in enumerate(dict.fromkeys(lists["cell"]))}
    rows = lists.filter(pl.col("step").list.len() > 0).explode(columns).with_columns(_numbers(*kinds))
    aggregates = [pl.col("dev_loss").count().alias("seeds")]
    for kind in kinds:
        aggregates.append(pl.col(kind).median())
        aggregates += [
            pl.col(kind).quantile(q, "linear").alias(f"{kind}_{name}") for name, q in (("low", 0.1), ("high", 0.9))
        ]
    table = rows.group_by("length", "cell", "step").agg(aggregates)
    return table.sort("length", pl.col("cell").replace_strict(order, return_dtype=pl.Int64), "step")


def solving_table(results: Sequence[Result]) -> pl.DataFrame:
    """Steps to solve: a row a length, cell and step at which a network first reached the threshold on dev.

    By then `solved` of `seeds` had, the `share` of them with Wilson's interval, low and high; a network that never did
    is a seed like any other. The first row of each is step 0, the last one the last step.
    """
    rows = []
    for length, cell, members in _groups(results):
        steps = np.array([r.solved_step for r in members if r.solved_step is not None])
        for step in sorted({0, *steps.tolist(), max(r.steps for r in members)}):
            solved, seeds = int((steps <= step).sum()), len(members)
            share = statistics.share(solved, seeds)
            row = {"length": length, "cell": cell, "step": step, "solved": solved, "seeds": seeds}
            rows.append(row | {"share": share.estimate, "low": share.low, "high": share.high})
    return pl.DataFrame(rows, infer_schema_length=None)


def difference_table(results: Sequence[Result], measure: Measure) -> pl.DataFrame:
    """A row a length and pair of cells: test of `cell` minus test of `other`, seed by seed.

    Columns: length, cell, other, pairs, difference, low, high, p_value, adjusted (for all rows of the table), method.
    """
    grid = Grid(results, measure)
    rows = []
    for i, length in enumerate(grid.lengths):
        for a, b in combinations(range(len(grid.cells)), 2):
            d = statistics.paired(grid.test[a, i], grid.test[b, i])
            rows.append(
                {
                    "length": length,
                    "cell": grid.cells[a],
                    "other": grid.cells[b],
                    "pairs": d.mean.count,
                    "difference": d.mean.estimate,
                    "low": d.mean.low,
                    "high": d.mean.high,
                    "p_value": d.p_value,
                    "method": d.method,
                }
            )
    numbers = ("difference", "low", "high", "p_value", "adjusted")
    names = ("length", "cell", "other", "pairs", *numbers, "method")
    kinds = {"length": pl.Int64, "cell": pl.String, "other": pl.String, "pairs": pl.Int64, "method": pl.String}
    found = statistics.adjusted([row["p_value"] for row in rows])
    rows = [row | {"adjusted": p} for row, p in zip(rows, found.tolist(), strict=True)]
    schema = {name: kinds.get(name, pl.Float64) for name in names}
    return pl.DataFrame(rows, schema=schema).with_columns(_numbers(*numbers))


def span_table(results: Sequence[Result], measure: Measure) -> pl.DataFrame:
    """A row a cell: its memory span and the interval, in lengths; 0 is below the shortest, null is unknown."""
    grid = Grid(results, measure)
    rows = []
    for cell, solved in zip(grid.cells, grid.solved, strict=True):
        span = statistics.memory_span(grid.lengths, solved)
        low, high = (None, None) if span.interval is None else (end or 0 for end in span.interval)
        rows.append({"cell": cell, "seeds": span.count, "span": span.length or 0, "low": low, "high": high})
    return pl.DataFrame(rows, schema_overrides={"low": pl.Int64, "high": pl.Int64}, infer_schema_length=None)


def _groups(results: Sequence[Result]) -> list[tuple[int, str, list[Result]]]:
    """The networks by length and cell; the cells in the order in which they first appear."""
    cells = dict.fromkeys(r.cell for r in results)
    pairs = [(length, cell) for length in sorted({r.length for r in results}) for cell in cells]
    groups = [(*pair, [r for r in results if (r.length, r.cell) == pair]) for pair in pairs]
    return [group for group in groups if group[2]]


def _median_steps(members: Sequence[Result]) -> int | None:
    steps = sorted(r.solved_step for r in members if r.solved_step is not None)
    half = (len(members) + 1) // 2
    return steps[half - 1] if len(steps) >= half else None


def _numbers(*columns: str) -> pl.Expr:
    """The columns with null for NaN and the infinities."""
    return pl.when(pl.col(*columns).is_finite()).then(pl.col(*columns))
