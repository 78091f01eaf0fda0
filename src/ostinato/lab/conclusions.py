"""What a run shows, and what it does not, in sentences with their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations, pairwise
from typing import NamedTuple

import numpy as np
import polars as pl

from . import statistics
from .grid import Grid
from .measure import Measure, percent
from .results import Result
from .tables import difference_table, summary_table


class Conclusion(NamedTuple):
    """Plain text, and a word or two on what it is about."""

    about: str
    text: str


def conclude(results: Sequence[Result], measure: Measure, chance: Mapping[int, float]) -> list[Conclusion]:
    """What can be said of a run, the most important first.

    Args:
        results: one a network, of any number of cells, lengths and seeds; some may be missing.
        measure: what they are judged by.
        chance: the score of an answer that looks at nothing, by length.

    Raises:
        DataError: no result, or two of one network.
    """
    grid = Grid(results, measure)
    said = (
        ("Memory", _memory(grid)),
        ("Cells", _cells(grid)),
        ("Length", _length(grid)),
        ("Chance", _chance(grid, chance)),
        ("One seed", _one_seed(grid)),
        ("Left out", _left_out(grid)),
        ("Limits", _limits(grid)),
    )
    return [Conclusion(about, text) for about, text in said if text]


def _memory(grid: Grid) -> str:
    """How far each cell remembers."""
    spans = []
    for cell, solved in zip(grid.cells, grid.solved, strict=True):
        span = statistics.memory_span(grid.lengths, solved)
        spans.append(f"{cell} {_span(span.length, grid)}")
        if span.interval is not None:
            low, high = (_span(end, grid) for end in span.interval)
            spans[-1] += f" (95% interval: {'the same' if low == high else f'{low} to {high}'})"
    return (
        f"Memory span: {_join(spans)}. It is the longest length, of those run, that at least 90% of the seeds solve, "
        f"as they do every shorter one; solved is {grid.measure.goal} on test."
    )


def _span(length: int | None, grid: Grid) -> str:
    if length is None:
        return f"below {grid.lengths[0]}"
    return f"{length} or more" if length == grid.lengths[-1] else str(length)


def _cells(grid: Grid) -> str:
    """Which cell is better where."""
    if len(grid.cells) < 2:
        return ""
    table = difference_table(grid.results, grid.measure)
    if not table["adjusted"].count():
        return "Which cell is better can not be tested: it takes two seeds with a score for both cells."
    ahead = (pl.col("difference") > 0) == grid.measure.higher_is_better
    table = table.with_columns(
        better=pl.when(ahead).then("cell").otherwise("other"),
        worse=pl.when(ahead).then("other").otherwise("cell"),
        shown=pl.col("adjusted").fill_null(1) < statistics.LEVEL,
    )
    words = _two_cells(grid, table) if len(grid.cells) == 2 else _many_cells(grid, table)
    return f"{words} (Pairs of one seed, sign-flip permutation test, p-values after Benjamini and Hochberg.)"


def _two_cells(grid: Grid, table: pl.DataFrame) -> str:
    sentences = []
    for part in table.filter("shown").partition_by("better", maintain_order=True):
        gaps = [
            f"{grid.measure.gap(abs(d))} ({_interval(grid.measure, low, high, d)}) at length {length}"
            for length, d, low, high in part.select("length", "difference", "low", "high").iter_rows()
        ]
        better, worse = part["better"][0], part["worse"][0]
        sentences.append(f"{better} is better than {worse}, by {_join(gaps)}; {_p(part['adjusted'])}, 95% intervals.")
    rest = table.filter(~pl.col("shown") & pl.col("adjusted").is_not_null())
    if len(rest):
        ends = " to ".join(grid.measure.difference(end) for end in (min(rest["low"]), max(rest["high"])))
        sentences.append(
            f"{_lengths(rest['length'], 'At')} no difference is shown, which does not make them equal: the 95% "
            f"intervals of {rest['cell'][0]} minus {rest['other'][0]} reach from {ends}{grid.measure.unit}."
        )
    return " ".join(sentences)


def _many_cells(grid: Grid, table: pl.DataFrame) -> str:
    means = summary_table(grid.results, grid.measure).drop_nulls("test")
    sentences = []
    for length in grid.lengths:
        here = means.filter(length=length).sort("test", descending=grid.measure.higher_is_better, maintain_order=True)
        pairs = table.filter(length=length)
        if len(here) < 2 or not pairs["adjusted"].count():
            continue
        best = here["cell"][0]
        behind = pairs.filter((pl.col("better") == best) & pl.col("shown"))["worse"].to_list()
        rest = [cell for cell in here["cell"][1:] if cell not in behind]
        clauses = [f"better than {_join(behind)}"] if behind else []
        clauses += [f"not told apart from {_join(rest)}"] if rest else []
        sentences.append(
            f"At length {length} {best} has the best mean, {grid.measure.text(here['test'][0])}: {', '.join(clauses)}."
        )
    return " ".join(sentences) + " What is not told apart need not be equal."


def _length(grid: Grid) -> str:
    """Whether the scores fall or rise with the length."""
    name, lengths = grid.measure.name, grid.lengths
    if len(lengths) < 2:
        return "One length was run, so that nothing can be said of what more length does."
    trends = [_trend(scores) for scores in grid.test]
    p_values = statistics.adjusted([trend.p_value for trend in trends])
    found: dict[str, list[str]] = {"falls": [], "rises": [], "neither": [], "untested": []}
    for cell, scores, trend, p in zip(grid.cells, grid.test, trends, p_values, strict=True):
        if np.isnan(p):
            found["untested"].append(cell)
        elif p >= statistics.LEVEL:
            found["neither"].append(f"{cell} (p = {p:.2f})")
        else:
            ends = [grid.measure.text(np.nanmean(scores[i])) for i in (0, -1)]
            words = f"{cell} (mean {ends[0]} at {lengths[0]}, {ends[1]} at {lengths[-1]}; {_p([p])})"
            found["falls" if trend.falls else "rises"].append(words)
    sentences = [f"The {name} {way} with length for {_join(found[way])}." for way in ("falls", "rises") if found[way]]
    if found["neither"]:
        sentences.append(f"No trend with length is shown for {_join(found['neither'])}.")
    if found["untested"]:
        sentences.append(
            f"There are too few seeds with a score at every length to test a trend for {_join(found['untested'])}."
        )
    test = "Page's trend test" if len(lengths) > 2 else "Sign-flip permutation test"
    return f"{' '.join(sentences)} ({test} over the seeds, p-values adjusted for the number of cells.)"


def _trend(scores: np.ndarray) -> statistics.Trend:
    """Of scores [L, S]: Page's test, and with only two lengths the paired one."""
    if len(scores) > 2:
        return statistics.trend(scores.T)
    change = statistics.paired(scores[0], scores[1])
    return statistics.Trend(change.mean.estimate > 0, change.p_value, change.mean.count)


def _chance(grid: Grid, chance: Mapping[int, float]) -> str:
    """Where the interval of the mean does not lie on the better side of chance."""
    table = summary_table(grid.results, grid.measure).drop_nulls("test_low")
    if not len(table):
        return "No cell has two seeds with a score at one length: there is no interval to compare with chance."
    level = pl.col("length").replace_strict(dict(chance), return_dtype=pl.Float64)
    above = pl.col("test_low") > level if grid.measure.higher_is_better else pl.col("test_high") < level
    poor = table.filter(~above)
    if not len(poor):
        return "Every mean is better than chance, with all of its 95% interval."
    parts = poor.partition_by("cell", maintain_order=True)
    places = [f"{part['cell'][0]} {_lengths(part['length'], 'at')}" for part in parts]
    return f"Not shown to be better than chance: {_join(places)}." + (
        " Every other mean is, with all of its 95% interval." if len(poor) < len(table) else ""
    )


def _one_seed(grid: Grid) -> str:
    """How often one seed alone would have said the opposite of all of them."""
    if len(grid.seeds) < 2:
        return "One seed was run: no number here has an interval, and another seed may reverse every order."
    steps = [
        (a, b, f"{cell} at lengths {grid.lengths[i]} and {grid.lengths[i + 1]}")
        for cell, scores in zip(grid.cells, grid.test, strict=True)
        for i, (a, b) in enumerate(pairwise(scores))
    ]
    pairs = [
        (grid.test[a, i], grid.test[b, i], f"{grid.cells[a]} and {grid.cells[b]} at length {length}")
        for i, length in enumerate(grid.lengths)
        for a, b in combinations(range(len(grid.cells)), 2)
    ]
    sentences = [
        _against(steps, "from one length to the next, it moves against the mean"),
        _against(pairs, "between two cells at one length, it prefers the one with the worse mean"),
    ]
    sentences = [sentence for sentence in sentences if sentence]
    return f"What one seed alone would have said: {'; '.join(sentences)}." if sentences else ""


def _against(comparisons: Iterable[tuple[np.ndarray, np.ndarray, str]], words: str) -> str:
    found = []
    for a, b, name in comparisons:
        both = ~(np.isnan(a) | np.isnan(b))
        found.append((statistics.reversals(a[both], b[both]), int(both.sum()), name))
    reversed_, count = sum(f[0] for f in found), sum(f[1] for f in found)
    if not count:
        return ""
    most, seeds, name = max(found, key=lambda f: f[0])
    worst = f"; most often for {name}, {most} of {seeds} seeds" if reversed_ else ""
    return f"{words} in {reversed_} of {count} cases ({percent(reversed_ / count)}{worst})"


def _left_out(grid: Grid) -> str:
    """What diverged and what was not run, by name."""
    sentences = []
    diverged = [r for r in grid.results if r.status == "diverged"]
    if diverged:
        names = {}
        for r in diverged:
            names.setdefault((r.cell, r.length), []).append(r.seed)
        places = [f"{cell} at length {length} ({_seeds(seeds)})" for (cell, length), seeds in names.items()]
        kept = sum(bool(np.isfinite(r.test)) for r in diverged)
        sentences.append(
            f"{len(diverged)} of {len(grid.results)} networks diverged: {_join(places)}. Without a score they are left "
            "out of means and tests, and count as unsolved."
        )
        if kept:
            sentences.append(f"{kept} of them had a model from before, whose score counts.")
    missing = int((~grid.run).sum())
    if missing:
        places = [
            f"{cell} at length {length} ({(~grid.run[c, i]).sum()})"
            for c, cell in enumerate(grid.cells)
            for i, length in enumerate(grid.lengths)
            if not grid.run[c, i].all()
        ]
        sentences.append(f"{missing} of {grid.run.size} networks have not been run: {_join(places)}.")
    return " ".join(sentences)


def _limits(grid: Grid) -> str:
    """What so many seeds can not show."""
    seeds = len(grid.seeds)
    sentences = []
    if 1 < seeds < 6 and len(grid.cells) > 1:
        sentences.append(
            f"With {seeds} seeds no difference between cells can be shown, however large: the test gives at least "
            f"p = {2 ** (1 - seeds):g}; it takes 6 seeds to go below {statistics.LEVEL}."
        )
    if seeds > 1:
        all_of_them = statistics.share(seeds, seeds)
        sentences.append(
            f"A length that {seeds} of {seeds} seeds solve may still be solved by as few as "
            f"{percent(all_of_them.low)} of all seeds there are (Wilson's 95% interval)"
            + (": too few to be sure of the 90% of a memory span." if all_of_them.low < 0.9 else ".")
        )
    gaps = [
        statistics.detectable((grid.test[a, i] - grid.test[b, i])[~np.isnan(grid.test[a, i] - grid.test[b, i])])
        for i in range(len(grid.lengths))
        for a, b in combinations(range(len(grid.cells)), 2)
    ]
    gap = float(np.median([g for g in gaps if not np.isnan(g)] or [0]))
    if seeds >= 6 and gap:
        sentences.append(
            f"To be found in four of five such experiments, a difference between two cells has to be about "
            f"{grid.measure.gap(gap)} (the median over what was compared)."
        )
    sentences.append(
        "Every cell was trained by the same recipe, tuned for none: a cell that does worse here may do better with "
        "another learning rate, size or number of steps."
    )
    return " ".join(sentences)


def _join(words: Iterable[object]) -> str:
    words = [str(word) for word in words]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _lengths(lengths: Iterable[int], before: str = "") -> str:
    lengths = list(lengths)
    return f"{before} length{'s' if len(lengths) > 1 else ''} {_join(lengths)}".strip()


def _seeds(seeds: Sequence[int]) -> str:
    if len(seeds) > 12:
        return f"{len(seeds)} seeds"
    return f"seed{'s' if len(seeds) > 1 else ''} {_join(seeds)}"


def _interval(measure: Measure, low: float, high: float, sign: float) -> str:
    """An interval of a difference, seen from the better side."""
    ends = sorted((low, high)) if sign > 0 else sorted((-low, -high))
    return f"{measure.difference(ends[0])} to {measure.difference(ends[1])}"


def _p(p_values: Iterable[float]) -> str:
    worst = max(p_values)
    return (
        "p < 0.001" if worst < 0.001 else f"p = {worst:.3f}" if len(list(p_values)) == 1 else f"p at most {worst:.3f}"
    )
