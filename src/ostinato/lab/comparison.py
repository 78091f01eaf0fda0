"""Two runs side by side: what was set differently, and how much better or worse the networks are for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import statistics
from .results import Result


class Row(NamedTuple):
    """The networks of one cell and length in run A and in run B.

    Attributes:
        a, b: the means of their scores on test; NaN without a score.
        count_a, count_b: how many networks have a score.
        difference: b minus a.
        paired: the same over the seeds that have a score in both.
    """

    length: int
    cell: str
    a: float
    count_a: int
    b: float
    count_b: int
    difference: float
    paired: statistics.Difference


def compare(a: Sequence[Result], b: Sequence[Result]) -> list[Row]:
    """A row for every cell and length of either run, by length; a score that is not finite is left out."""
    cells = list(dict.fromkeys(result.cell for result in (*a, *b)))
    pairs = sorted({(result.length, cells.index(result.cell)) for result in (*a, *b)})
    return [_row(length, cells[cell], _scores(a), _scores(b)) for length, cell in pairs]


def _row(length: int, cell: str, a: _Scores, b: _Scores) -> Row:
    ours, theirs = a.get((length, cell), {}), b.get((length, cell), {})
    both = sorted(ours.keys() & theirs.keys())
    mean_a, mean_b = _mean(ours), _mean(theirs)
    paired = statistics.paired([theirs[seed] for seed in both], [ours[seed] for seed in both])
    return Row(length, cell, mean_a, len(ours), mean_b, len(theirs), mean_b - mean_a, paired)


_Scores = Mapping[tuple[int, str], Mapping[int, float]]


def _scores(results: Sequence[Result]) -> _Scores:
    """The scores by length and cell, then by seed."""
    scores: dict[tuple[int, str], dict[int, float]] = {}
    for result in results:
        if math.isfinite(result.test):
            scores.setdefault((result.length, result.cell), {})[result.seed] = result.test
    return scores


def _mean(scores: Mapping[int, float]) -> float:
    return float(np.mean(list(scores.values()))) if scores else math.nan


def differing(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The names whose values differ, with both values; None where one has no such name."""
    return {name: (a.get(name), b.get(name)) for name in {**a, **b} if a.get(name) != b.get(name)}
