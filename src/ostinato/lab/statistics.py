"""What a few dozen numbers can and can not show: intervals, paired tests, trends. Nothing here knows of networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from ..errors import DataError

#: Of every interval.
CONFIDENCE = 0.95

#: A value is called shown, or found, if the adjusted p-value is below this.
LEVEL = 0.05

#: Resamples of a bootstrap and of a permutation test: the 95 % interval moves by about 1 % of its width from one seed
#: of the resampling to another.
RESAMPLES = 9_999

#: With fewer values than this no resample leaves their range often enough to be 95 % sure.
_FEWEST_TO_RESAMPLE = 6


class Interval(NamedTuple):
    """An estimate from `count` values and its 95 % interval; both ends are NaN where nothing can be said."""

    estimate: float
    low: float
    high: float
    count: int
    method: str


class Difference(NamedTuple):
    """The mean of paired differences, and the two-sided p-value of its being 0."""

    mean: Interval
    p_value: float
    method: str


class Span(NamedTuple):
    """The longest length that is passed; None: not even the shortest is.

    `interval` has the same form at both its ends, and is itself None where nothing can be said.
    """

    length: int | None
    interval: tuple[int | None, int | None] | None
    count: int


class Trend(NamedTuple):
    """Whether values tend to fall from column to column or to rise, and the two-sided p-value of doing neither."""

    falls: bool
    p_value: float
    count: int


def mean(values: ArrayLike, bounds: tuple[float, float] = (-np.inf, np.inf)) -> Interval:
    """The mean of values [N] with a 95 % interval; what lies outside of `bounds` is impossible, and cut off.

    From 6 values on the bootstrap: bias-corrected and accelerated (Efron, 1987), and expanded, since at these counts
    the plain one covers 88 to 92 % in place of 95 (Hesterberg, "What teachers should know about the bootstrap", 2015,
    on expanded percentile intervals). Student's t from 2 to 5. None from 1. Values that are all equal have an interval
    without width: what would make them differ has not been seen yet, and `method` says so.

    Raises:
        DataError: a value that is NaN or infinite.
    """
    values = _finite(values)
    count = values.size
    if count < 2:
        estimate = float(values[0]) if count else np.nan
        return Interval(estimate, np.nan, np.nan, count, "none (one value)" if count else "none (no value)")
    estimate = float(values.mean())
    if np.ptp(values) <= max(1e-12 * np.abs(values).max(), 1e-150):  # equal to rounding, or their squares are 0
        return Interval(estimate, estimate, estimate, count, "without width (all values are equal)")
    if count < _FEWEST_TO_RESAMPLE:
        low, high = stats.t.interval(CONFIDENCE, count - 1, estimate, stats.sem(values))
        method = "Student's t"
    else:
        tail = float(stats.norm.sf(np.sqrt(count / (count - 1)) * stats.t.isf((1 - CONFIDENCE) / 2, count - 1)))
        low, high = stats.bootstrap(
            (values,), np.mean, n_resamples=RESAMPLES, confidence_level=1 - 2 * tail, method="BCa", rng=0
        ).confidence_interval
        method = "BCa bootstrap, expanded"
    return Interval(estimate, max(float(low), bounds[0]), min(float(high), bounds[1]), count, method)


def share(successes: int, count: int) -> Interval:
    """The share of successes with Wilson's score interval (1927), which holds for few trials and near 0 and 1.

    Raises:
        DataError: more successes than trials, or a number below 0.
    """
    if not 0 <= successes <= count:
        raise DataError(f"{successes} successes of {count}: there are from 0 successes to as many as trials")
    if not count:
        return Interval(np.nan, np.nan, np.nan, 0, "none (no value)")
    interval = stats.binomtest(successes, count).proportion_ci(CONFIDENCE, method="wilson")
    return Interval(successes / count, float(interval.low), float(interval.high), count, "Wilson")


def paired(a: ArrayLike, b: ArrayLike) -> Difference:
    """How much larger a [N] is than b [N] in the mean; a[i] and b[i] belong together, and with a NaN are left out.

    The p-value is that of the sign-flip permutation test (Fisher, 1935): exact up to 13 pairs, from 9,999 random flips
    beyond. Unlike Wilcoxon's it tests the very mean that is reported, and ties and zeros, many where two cells are
    both at 100 %, need no rule. It assumes that without a difference the two of a pair could be swapped.

    Raises:
        DataError: a and b of different size, or an infinite value.
    """
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        raise DataError(f"{a.size} values against {b.size}: pairs need as many of one as of the other")
    both = ~(np.isnan(a) | np.isnan(b))
    differences = _finite(a[both] - b[both])
    interval = mean(differences)
    if differences.size < 2:
        return Difference(interval, np.nan, "no test: fewer than two pairs")
    result = stats.permutation_test(
        (differences,), np.mean, permutation_type="samples", n_resamples=RESAMPLES, batch=1_000, rng=0
    )
    exact = len(result.null_distribution) == 2**differences.size
    return Difference(interval, float(result.pvalue), "sign flips, " + ("exact" if exact else "random"))


def adjusted(p_values: ArrayLike) -> np.ndarray:
    """P-values [N], adjusted for there being N (Benjamini & Hochberg, 1995); a NaN is no test, stays and counts not.

    Of all that is called shown with an adjusted value below 0.05, at most 5 % are expected to be false.
    """
    p_values = np.array(p_values, dtype=float)
    tested = ~np.isnan(p_values)
    if tested.any():
        p_values[tested] = stats.false_discovery_control(p_values[tested], method="bh")
    return p_values


def trend(values: ArrayLike) -> Trend:
    """Whether values [N, L] fall from the first column to the last, or rise; a row with a NaN is left out.

    Page's test (1963) of L columns in a known order, within each of N rows; two-sided by doubling. It needs two rows
    and three columns: the p-value is NaN without.
    """
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values).any(axis=1)]
    count, columns = values.shape
    if count < 2 or columns < 3:
        return Trend(False, np.nan, count)
    # From 12 rows on the normal approximation is good, and the exact distribution slow for many columns.
    method = "exact" if count < 12 and columns < 9 else "asymptotic"
    falling = stats.page_trend_test(-values, method=method).pvalue
    rising = stats.page_trend_test(values, method=method).pvalue
    return Trend(bool(falling < rising), float(min(1, 2 * min(falling, rising))), count)


def memory_span(lengths: Sequence[int], solved: ArrayLike, needed: float = 0.9) -> Span:
    """The longest length that a share of at least `needed` of the seeds solves, as they do every shorter one.

    The interval is that of 9,999 resamples of the seeds (percentiles): a seed is drawn with all its lengths. It does
    not know what was never seen: where all seeds solve a length, all resamples do. With 16 seeds it covers the true
    span in about 89 of 100 simulated experiments where a length is just about solved, and in nearly all others.

    Args:
        lengths: the L lengths, rising.
        solved: [L, N] for N seeds: 1, 0, or NaN where a seed was not run at a length.
        needed: share of the seeds.
    """
    solved = np.asarray(solved, dtype=float)
    count = solved.shape[1]
    run = ~np.isnan(solved)
    wins = np.where(run, solved, 0)

    def longest(draws: np.ndarray) -> np.ndarray:
        """How many lengths are passed in an unbroken row from the shortest on: draws [R, N] of seeds give [R]."""
        runs = run[:, draws].sum(axis=2)
        passed = (wins[:, draws].sum(axis=2) >= needed * runs - 1e-9) & (runs > 0)
        return passed.cumprod(axis=0).sum(axis=0)

    names = [None, *lengths]
    length = names[longest(np.arange(count)[None])[0]]
    if count < 2:
        return Span(length, None, count)
    draws = longest(np.random.default_rng(0).integers(count, size=(RESAMPLES, count)))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], method="inverted_cdf")
    return Span(length, (names[low], names[high]), count)


def reversals(a: ArrayLike, b: ArrayLike) -> int:
    """In how many pairs the order of a[i] and b[i] is the opposite of the order of the means of a [N] and b [N]."""
    differences = _finite(np.asarray(a, dtype=float) - np.asarray(b, dtype=float))
    return int(np.sum(differences * differences.mean() < 0)) if differences.size else 0


def detectable(differences: ArrayLike) -> float:
    """The mean difference that N pairs find in four of five experiments, if pairs vary as these [N] do.

    (z_0.975 + z_0.8) standard errors: the usual normal approximation (Cohen, 1988), somewhat too hopeful for few
    pairs. NaN for fewer than two.
    """
    differences = _finite(differences)
    if differences.size < 2:
        return np.nan
    return float((stats.norm.isf((1 - CONFIDENCE) / 2) + stats.norm.isf(0.2)) * stats.sem(differences))


def _finite(values: ArrayLike) -> np.ndarray:
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        bad = values[~np.isfinite(values)][0]
        raise DataError(f"a value is {bad}; leave out networks that diverged before, and say how many they were")
    return values
