"""How times are taken: in turn, by the median, without the garbage collector."""

from __future__ import annotations

import contextlib
import gc
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch

from .contestants import Contestant, Mode


@dataclass(frozen=True)
class Effort:
    """How long one measurement may take.

    Attributes:
        seconds: in all; there are fewer rounds where one takes longer.
        least_rounds, most_rounds: their bounds. Three are enough where a round alone takes twice as long as `seconds`.
        turn: seconds of a contestant's turn.
        warm_up: seconds for which each runs before the first round.
    """

    seconds: float = 1.0
    least_rounds: int = 5
    most_rounds: int = 41
    turn: float = 0.01
    warm_up: float = 0.05

    def rounds(self, seconds_a_round: float) -> int:
        """An odd number, so that the median is one of them."""
        least = self.least_rounds if seconds_a_round < 2 * self.seconds else 3
        wanted = int(self.seconds / seconds_a_round)
        return max(least, min(self.most_rounds, wanted)) | 1


FULL = Effort()
QUICK = Effort(seconds=0.05, least_rounds=3, most_rounds=5, turn=0.0, warm_up=0.0)


@dataclass(frozen=True)
class Times:
    """Seconds of one call, a row for every contestant, a column for every round."""

    seconds: tuple[tuple[float, ...], ...]

    def median(self, contestant: int) -> float:
        """Seconds."""
        return statistics.median(self.seconds[contestant])

    def ratio(self, theirs: int, ours: int) -> float:
        """theirs / ours: the median over the rounds of what they show one after the other."""
        pairs = zip(self.seconds[theirs], self.seconds[ours], strict=True)
        return statistics.median(t / o for t, o in pairs)


def in_turn(contestants: Sequence[Contestant], mode: Mode, effort: Effort) -> Times:
    """Time the contestants round by round; in a round each has its turn of one call or several.

    Results and gradients are dropped between calls, outside of the clock. Each has run before (see `comparison`), and
    the first call of a turn of several is not counted: it finds the caches and threads as another left them.
    """
    with _no_garbage_collection():
        once = [_warm_up(contestant, mode, effort.warm_up) for contestant in contestants]
        calls = [max(1, min(100, round(effort.turn / seconds))) for seconds in once]
        rounds = effort.rounds(sum(seconds * count for seconds, count in zip(once, calls, strict=True)))
        columns = [
            [_turn(contestant, mode, count) for contestant, count in zip(contestants, calls, strict=True)]
            for _ in range(rounds)
        ]
    return Times(tuple(zip(*columns, strict=True)))


def _warm_up(contestant: Contestant, mode: Mode, seconds: float) -> float:
    """Seconds of the quickest call of a time."""
    total = quickest = _turn(contestant, mode, 1)
    while total < seconds:
        once = _turn(contestant, mode, 1)
        total, quickest = total + once, min(quickest, once)
    return quickest


def _turn(contestant: Contestant, mode: Mode, calls: int) -> float:
    """Seconds of a call, the mean of so many."""
    if calls > 1:
        contestant.clear()
        contestant.run(mode)
    seconds = 0.0
    for _ in range(calls):
        contestant.clear()
        begin = perf_counter()
        contestant.run(mode)
        seconds += perf_counter() - begin
    contestant.clear()
    return seconds / calls


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    before = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def peak_flops(size: int = 2048, times: int = 3) -> float:
    """Operations a second of the best of several large float32 products, on as many threads as torch uses."""
    a, b, out = (torch.ones(size, size) for _ in range(3))
    seconds = []
    for _ in range(times):
        begin = perf_counter()
        torch.mm(a, b, out=out)
        seconds.append(perf_counter() - begin)
    return 2 * size**3 / min(seconds)
