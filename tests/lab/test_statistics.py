"""Intervals that cover, tests that keep their level, and numbers that others have published."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ostinato.errors import DataError
from ostinato.lab import statistics

#: Differences in height of 15 pairs of plants in eighths of an inch: Darwin, 1876; Fisher, Design of Experiments, 1935.
DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

SCORES = st.lists(st.integers(0, 1000).map(lambda n: n / 1000), min_size=1, max_size=40)


@given(values=SCORES)
def test_an_interval_holds_its_estimate_and_stays_in_bounds(values):
    interval = statistics.mean(values, (0, 1))
    assert interval.count == len(values)
    assert interval.estimate == pytest.approx(np.mean(values))
    if len(values) > 1:
        assert 0 <= interval.low <= interval.estimate + 1e-9
        assert interval.estimate - 1e-9 <= interval.high <= 1


@given(
    values=st.lists(st.integers(-1000, 1000), min_size=2, max_size=20),
    shift=st.integers(-1000, 1000),
    scale=st.integers(1, 50),
)
def test_an_interval_moves_with_its_values(values, shift, scale):
    interval = statistics.mean(values)
    moved = statistics.mean(shift + scale * np.array(values))
    assert moved[:3] == pytest.approx([shift + scale * number for number in interval[:3]], abs=1e-6)


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_every_list_of_numbers_has_an_interval(values):
    assert not any(map(math.isnan, statistics.mean(values)[:3]))


def test_one_value_and_none_have_no_interval_and_say_so():
    one, none = statistics.mean([0.5]), statistics.mean([])
    assert (one.estimate, one.count, one.method) == (0.5, 1, "none (one value)")
    assert math.isnan(one.low)
    assert math.isnan(one.high)
    assert math.isnan(none.estimate)


@pytest.mark.parametrize("value", [1.0, 0.1, 0.0])
def test_equal_values_have_an_interval_without_width_and_say_so(value):
    interval = statistics.mean([value] * 16)
    assert interval[1:] == (pytest.approx(value), pytest.approx(value), 16, "without width (all values are equal)")


def test_few_values_have_student_s_interval():
    low, high = statistics.mean([1.0, 2.0, 3.0])[1:3]
    assert (low, high) == pytest.approx((2 - 4.30265 / math.sqrt(3), 2 + 4.30265 / math.sqrt(3)), abs=1e-4)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_mean_refuses_what_is_no_number(bad):
    with pytest.raises(DataError, match=str(bad)):
        statistics.mean([0.5, bad])


@pytest.mark.parametrize(
    ("draw", "truth"),
    [
        (lambda rng: rng.normal(0.6, 0.1, 16), 0.6),
        (lambda rng: rng.beta(8, 1, 16), 8 / 9),
        (lambda rng: np.where(rng.random(16) < 0.7, 0.97, 0.4) + rng.normal(0, 0.02, 16), 0.799),
    ],
    ids=["normal", "skewed", "two heaps"],
)
def test_95_of_100_intervals_of_16_seeds_cover_the_truth(draw, truth):
    rng = np.random.default_rng(1)
    intervals = [statistics.mean(draw(rng)) for _ in range(250)]
    # Three standard errors of 250 trials are 4 points; the plain bootstrap covers 90 % or so.
    assert np.mean([i.low <= truth <= i.high for i in intervals]) == pytest.approx(0.95, abs=0.04)


def test_wilson_as_published():
    # Newcombe, Statistics in Medicine 17, 1998, table I, method 3.
    for successes, count, low, high in [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0, 0.1611)]:
        interval = statistics.share(successes, count)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)
    assert statistics.share(29, 29).low == pytest.approx(0.8830, abs=1e-4)


@given(count=st.integers(1, 64), data=st.data())
def test_failures_mirror_successes(count, data):
    wins = data.draw(st.integers(0, count))
    share, failed = statistics.share(wins, count), statistics.share(count - wins, count)
    assert (share.low, share.high) == pytest.approx((1 - failed.high, 1 - failed.low))


def test_a_share_of_nothing_and_an_impossible_one():
    assert math.isnan(statistics.share(0, 0).estimate)
    with pytest.raises(DataError, match="5 successes of 4"):
        statistics.share(5, 4)


def test_paired_finds_fisher_s_number():
    found = statistics.paired(DARWIN, np.zeros(15))
    assert found.mean.estimate == pytest.approx(314 / 15)
    # Of 2^15 = 32,768 ways to sign the 15 differences 863 have a sum of 314 or more, and 863 one of -314 or less.
    assert found.p_value == pytest.approx(2 * 863 / 32768, abs=0.008)
    assert found.method == "sign flips, random"


def test_paired_is_exact_for_few_pairs():
    found = statistics.paired([2, 3, 4, 5, 6, 7], [1, 1, 1, 1, 1, 1])
    assert (found.p_value, found.method) == (pytest.approx(2 / 64), "sign flips, exact")


@given(pairs=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), min_size=2, max_size=9))
def test_paired_the_other_way_round_changes_the_sign_alone(pairs):
    a, b = zip(*pairs, strict=True)
    there, back = statistics.paired(a, b), statistics.paired(b, a)
    assert there.mean.estimate == pytest.approx(-back.mean.estimate)
    assert there.p_value == pytest.approx(back.p_value)


def test_paired_leaves_out_what_has_no_partner():
    whole = statistics.paired([1, 2, 4, 7], [0, 0, 1, 1])
    assert statistics.paired([1, math.nan, 2, 4, 7, 5], [0, 3, 0, 1, 1, math.nan]) == whole
    alone = statistics.paired([1, math.nan], [0, 1])
    assert (alone.mean.count, alone.method) == (1, "no test: fewer than two pairs")
    assert math.isnan(alone.p_value)
    with pytest.raises(DataError, match="2 values against 3"):
        statistics.paired([1, 2], [1, 2, 3])


def test_paired_keeps_its_level():
    rng = np.random.default_rng(2)
    p_values = [statistics.paired(*rng.beta(2, 1, (2, 8))).p_value for _ in range(300)]
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.035)


def test_equal_cells_differ_by_nothing():
    assert statistics.paired([1.0] * 16, [1.0] * 16).p_value == 1


def test_adjusted_as_published():
    # Benjamini & Hochberg, 1995, section 4: 15 p-values, of which the first four are found at 0.05.
    paper = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528]
    paper += [0.7590, 1.0]
    found = statistics.adjusted(paper)
    assert (found < 0.05).tolist() == [True] * 4 + [False] * 11
    assert found[0] == pytest.approx(15 * 0.0001)


def test_what_was_not_tested_does_not_count():
    found = statistics.adjusted([0.01, math.nan, 0.04])
    assert found[[0, 2]] == pytest.approx([0.02, 0.04])
    assert math.isnan(found[1])
    assert np.isnan(statistics.adjusted([math.nan])).all()
    assert statistics.adjusted([]).size == 0


def test_trend_as_published():
    # SciPy's worked example of Page's test: ten students rate three kinds of teaching, exact one-sided p = 0.0018.
    ratings = [
        [3, 4, 3],
        [2, 2, 4],
        [3, 3, 5],
        [1, 3, 2],
        [2, 3, 2],
        [2, 4, 5],
        [1, 2, 4],
        [3, 4, 4],
        [2, 4, 5],
        [1, 3, 4],
    ]
    trend = statistics.trend(ratings)
    assert (trend.falls, trend.count) == (False, 10)
    assert trend.p_value == pytest.approx(2 * 0.0018191, abs=1e-6)
    assert statistics.trend(-np.array(ratings)).falls


def test_no_trend_in_equal_values_and_none_without_enough_of_them():
    assert statistics.trend(np.ones((16, 6))).p_value == 1
    assert math.isnan(statistics.trend(np.ones((1, 6))).p_value)
    assert math.isnan(statistics.trend(np.ones((16, 2))).p_value)
    holes = np.vander(np.arange(1.0, 6), 4)
    holes[0, 0] = math.nan
    assert statistics.trend(holes).count == 4


LENGTHS = [10, 20, 30]


@pytest.mark.parametrize(
    ("wins", "length"),
    [((16, 16, 16), 30), ((16, 15, 14), 20), ((16, 14, 16), 10), ((14, 16, 16), None), ((0, 0, 0), None)],
)
def test_the_span_ends_before_the_first_length_that_too_few_solve(wins, length):
    solved = np.arange(16) < np.array(wins)[:, None]
    span = statistics.memory_span(LENGTHS, solved)
    assert (span.length, span.count) == (length, 16)
    low, high = span.interval
    assert (low or 0) <= (length or 0) <= (high or 0)


def test_nine_of_ten_are_90_percent():
    assert statistics.memory_span([5], np.arange(10)[None] < 9).length == 5


def test_a_span_of_one_seed_has_no_interval():
    assert statistics.memory_span(LENGTHS, [[1], [1], [0]]) == (20, None, 1)


def test_a_seed_that_was_not_run_counts_for_nothing():
    solved = np.array([[1, 1, 1, 1], [1, 1, math.nan, math.nan], [math.nan] * 4])
    assert statistics.memory_span(LENGTHS, solved).length == 20


@settings(max_examples=25)
@given(seed=st.integers(0, 1000))
def test_a_network_more_that_solves_never_shortens_the_span(seed):
    rng = np.random.default_rng(seed)
    solved = rng.random((3, 12)) < 0.93
    more = solved | (rng.random((3, 12)) < 0.3)
    spans = [statistics.memory_span(LENGTHS, s) for s in (solved, more)]
    for before, after in [(spans[0].length, spans[1].length), *zip(*(s.interval for s in spans), strict=True)]:
        assert (before or 0) <= (after or 0)


def test_spans_of_resampled_experiments_cover_the_truth():
    rng = np.random.default_rng(3)
    shares = np.array([0.99, 0.95, 0.5])[:, None]
    spans = [statistics.memory_span(LENGTHS, rng.random((3, 32)) < shares).interval for _ in range(60)]
    assert np.mean([(low or 0) <= 20 <= (high or 0) for low, high in spans]) >= 0.9


def test_reversals():
    assert statistics.reversals([1, 2, 3, 9], [2, 3, 4, 1]) == 3  # the mean says the first is more, three pairs less
    assert statistics.reversals([1, 2], [2, 1]) == 0  # equal means have no opposite
    assert statistics.reversals([], []) == 0


def test_a_detectable_difference_is_found_in_four_of_five_experiments():
    rng = np.random.default_rng(4)
    size = statistics.detectable(rng.normal(0, 1, 100_000)) * math.sqrt(100_000 / 40)
    found = [statistics.paired(rng.normal(size, 1, 40), np.zeros(40)).p_value < 0.05 for _ in range(100)]
    assert np.mean(found) == pytest.approx(0.8, abs=0.12)
    assert math.isnan(statistics.detectable([1.0]))
