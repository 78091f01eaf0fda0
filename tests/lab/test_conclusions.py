"""Sentences that say what the numbers say, whatever the numbers are."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import memory_run
from ostinato.errors import DataError
from ostinato.lab.conclusions import conclude
from ostinato.lab.measure import Measure

ACCURACY, MSE = Measure("accuracy", 0.9), Measure("mse", 0.01)

TEMPLATE = memory_run.results(cells=["srn"], lengths=[10], seeds=1)[0]


def networks(scores):
    """One network a score: {cell: {length: [score of seed 0, of seed 1, ...]}}, None for one that diverged."""
    return [
        replace(TEMPLATE, cell=cell, length=length, seed=seed, test=math.nan if score is None else score)
        if score is not None
        else replace(TEMPLATE, cell=cell, length=length, seed=seed, dev=math.nan, test=math.nan, status="diverged")
        for cell, lengths in scores.items()
        for length, row in lengths.items()
        for seed, score in enumerate(row)
    ]


def said(scores, measure=ACCURACY, chance=0.1):
    made = networks(scores)
    return dict(conclude(made, measure, dict.fromkeys({r.length for r in made}, chance)))


def around(middle, count=16, width=0.02):
    return [middle + width * ((7 * i) % count / count - 0.5) for i in range(count)]


FALLING = {10: around(0.98), 20: around(0.7), 30: around(0.4)}
LEVEL = {10: around(0.98, width=0.03), 20: around(0.98)[::-1], 30: around(0.97)[::-1]}


def test_a_clear_run():
    words = said({"srn": FALLING, "lstm": LEVEL})
    assert words["Memory"].startswith(
        "Memory span: srn 10 (95% interval: the same) and lstm 30 or more (95% interval: the same)."
    )
    assert "lstm is better than srn, by 28.0 points (+27." in words["Cells"]
    assert "srn is better" not in words["Cells"]
    assert "At length 10 no difference is shown, which does not make them equal" in words["Cells"]
    assert "falls with length for srn (mean 98% at 10, 40% at 30; p < 0.001)" in words["Length"]
    assert words["Chance"] == "Every mean is better than chance, with all of its 95% interval."
    assert "Left out" not in words
    assert "as few as 81% of all seeds" in words["Limits"]


def test_an_error_is_better_when_it_is_lower():
    low, high = {10: around(0.002, width=1e-3), 20: around(0.004, width=1e-3)}, {10: around(0.002), 20: around(0.2)}
    words = said({"srn": high, "lstm": low}, MSE, chance=0.15)
    assert "lstm is better than srn, by 0.2 (" in words["Cells"]
    assert "The mean squared error rises with length for srn" in words["Length"]
    assert "srn at length 20" in words["Chance"]
    assert "lstm" not in words["Chance"]
    assert "%" not in words["Cells"].replace("95%", "")


def test_many_cells_are_ranked_by_length():
    words = said({"a": {10: around(0.5)}, "b": {10: around(0.9)}, "c": {10: around(0.9, width=0.03)}})
    assert "At length 10 b has the best mean, 90%: better than a, not told apart from c." in words["Cells"]
    lower = {"a": {10: around(0.5)}, "b": {10: around(0.1)}, "c": {10: around(0.1, width=0.03)}}
    assert "better than a, not told apart from" in said(lower, MSE)["Cells"]


def test_no_difference_is_not_called_equality():
    words = said({"a": {10: around(0.5)}, "b": {10: around(0.5)[::-1]}})
    assert "is better" not in words["Cells"]
    assert "does not make them equal" in words["Cells"]


def test_chance_is_named_where_it_is_not_beaten():
    words = said({"srn": {10: around(0.9), 20: around(0.1)}, "lstm": {10: around(0.9), 20: around(0.05)}})
    assert words["Chance"].startswith("Not shown to be better than chance: srn at length 20 and lstm at length 20.")


def test_one_seed_shows_next_to_nothing():
    words = said({"srn": {10: [0.9], 20: [0.5], 30: [0.4]}, "lstm": {10: [0.95], 20: [0.9], 30: [0.9]}})
    assert words["One seed"].startswith("One seed was run")
    assert "95% interval" not in words["Memory"]
    assert "can not be tested" in words["Cells"]
    assert "too few seeds" in words["Length"]
    assert "no interval to compare" in words["Chance"]


def test_five_seeds_can_not_reach_the_level_and_six_can():
    five = said({"a": {10: around(0.2, 5)}, "b": {10: around(0.9, 5)}})
    assert (
        "no difference between cells can be shown, however large: the test gives at least p = 0.0625" in five["Limits"]
    )
    assert "is better" not in five["Cells"]
    six = said({"a": {10: around(0.2, 6)}, "b": {10: around(0.9, 6)}})
    assert "b is better than a" in six["Cells"]
    assert "however large" not in six["Limits"]


def test_seeds_that_say_the_opposite_are_counted():
    words = said({"srn": {10: [0.9, 0.9, 0.1, 0.9], 20: [0.5, 0.5, 0.5, 0.5]}})
    assert (
        "it moves against the mean in 1 of 4 cases (25%; most often for srn at lengths 10 and 20" in words["One seed"]
    )
    assert "two cells" not in words["One seed"]


def test_what_diverged_and_what_was_not_run_is_named():
    words = said({"srn": {10: [0.9, None, 0.8], 20: [None, None, None]}, "lstm": {10: [0.9, 0.9, 0.9], 20: [0.9]}})
    assert (
        "4 of 10 networks diverged: srn at length 10 (seed 1) and srn at length 20 (seeds 0, 1 and 2)."
        in words["Left out"]
    )
    assert "2 of 12 networks have not been run: lstm at length 20 (2)." in words["Left out"]


def test_a_score_from_before_it_diverged_counts():
    made = [replace(r, status="diverged") for r in networks({"srn": {10: [0.9, 0.8]}})]
    words = dict(conclude(made, ACCURACY, {10: 0.1}))
    assert "2 of them had a model from before, whose score counts." in words["Left out"]
    assert "1 of them" not in words["Left out"]


def test_one_length_says_nothing_of_length():
    assert said({"srn": {10: around(0.9)}})["Length"].startswith("One length was run")


def test_nothing_at_all_is_refused():
    with pytest.raises(DataError, match="no result"):
        conclude([], ACCURACY, {})


@settings(max_examples=40)
@given(
    scores=st.dictionaries(
        st.sampled_from(["srn", "lstm", "gru"]),
        st.dictionaries(
            st.sampled_from([5, 10, 20, 40]),
            st.lists(st.none() | st.sampled_from([0.0, 0.3, 0.9, 1.0]) | st.floats(0, 1), min_size=1, max_size=8),
            min_size=1,
        ),
        min_size=1,
    ),
    measure=st.sampled_from([ACCURACY, MSE]),
)
def test_every_run_can_be_put_into_words(scores, measure):
    for text in said(scores, measure).values():
        assert text.endswith((".", ".)"))
        assert "nan" not in text.replace("finance", "")
        assert "  " not in text
