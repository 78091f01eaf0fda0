"""Turns, rounds and medians."""

from __future__ import annotations

import gc
import itertools

from benchmarks.cases import torch_case
from benchmarks.requirements import TINY
from benchmarks.timing import FULL, QUICK, Effort, Times, in_turn


class Recorder:
    """A contestant that notes its calls in a log that several share."""

    def __init__(self, name, log):
        self.name, self.log = name, log

    def run(self, mode):
        assert not gc.isenabled()
        self.log.append(self.name)

    def clear(self):
        self.log.append("clear")


def test_contestants_take_turns_and_are_cleared_before_each_call():
    log = []
    times = in_turn([Recorder("a", log), Recorder("b", log)], "inference", Effort(0, 3, 3, turn=0, warm_up=0))
    assert [name for name in log if name != "clear"] == ["a", "b"] * 4  # once to know the time, then three rounds
    assert all(before == "clear" for before, name in itertools.pairwise(log) if name != "clear")
    assert [len(rounds) for rounds in times.seconds] == [3, 3]
    assert gc.isenabled()


def test_ratio_is_the_median_of_pairs():
    times = Times(((1.0, 2.0, 4.0), (3.0, 4.0, 4.0)))
    assert times.ratio(1, 0) == 2.0
    assert times.median(0) == 2.0
    assert times.median(1) == 4.0


def test_rounds_are_odd_and_within_bounds():
    for effort in (FULL, QUICK):
        for seconds in (1e-6, 0.01, 0.3, 100.0):
            rounds = effort.rounds(seconds)
            assert rounds % 2 == 1
            assert 3 <= rounds <= effort.most_rounds
    assert FULL.rounds(1e-6) == 41
    assert FULL.rounds(1.0) == 5
    assert FULL.rounds(2.0) == 3


def test_a_case_gives_both_modes():
    found = list(torch_case("SRN", TINY).time(QUICK))
    assert [result.what for result in found] == ["forward + backward", "inference"]
    assert all(result.ours > 0 and result.theirs > 0 and result.flops > 0 for result in found)
