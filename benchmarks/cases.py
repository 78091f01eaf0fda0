"""What is compared and timed at one shape, and what came of it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from ostinato.cell import Cell
from ostinato.derive.cost import cost

from . import contestants, requirements
from .comparison import compare
from .contestants import MODES, OURS, Contestant, Mode, make_task
from .requirements import Shape
from .timing import Effort, in_turn, peak_flops

OWN_CELL = "own cell"


@dataclass(frozen=True)
class Result:
    """One measurement of ours against one of theirs.

    Attributes:
        ours, theirs: medians, in `unit`.
        ratio: theirs / ours, the median of pairs (of Paddle, the ratio of the medians); more is better.
        at_least: the required ratio, None where nothing is required.
        flops: our operations a second, those of the matrix products alone; None of memory.
        ours_rounds, theirs_rounds: what the medians are taken of; one round shows one of each.
        networks: how many of ours are trained as one; times and operations are those of one of them.
    """

    layer: str
    shape: str
    what: Mode | Literal["memory"]
    peer: str
    unit: str
    ours: float
    theirs: float
    ratio: float
    at_least: float | None = None
    flops: float | None = None
    ours_rounds: tuple[float, ...] = ()
    theirs_rounds: tuple[float, ...] = ()
    networks: int = 1

    @property
    def short(self) -> bool:
        """Whether it falls short of what is required."""
        return self.at_least is not None and self.ratio < self.at_least


@dataclass(frozen=True)
class Case:
    """Contestants at one task: the first is ours, the others are what it is timed against.

    Attributes:
        pairs: whose numbers must be equal; every contestant that is timed is in one.
        at_least: the required ratio of forward + backward against each of the others.
        cell: of ours, to count its work.
    """

    layer: str
    shape: Shape
    timed: tuple[Contestant, ...]
    pairs: tuple[tuple[Contestant, Contestant], ...]
    at_least: tuple[float | None, ...]
    cell: Cell

    def __str__(self) -> str:
        return f"{self.layer} {self.shape}"

    def compare(self) -> float:
        """Compare every pair; the largest difference.

        Raises:
            DifferenceError: two contestants differ.
        """
        return max(compare(ours, theirs, str(self)) for ours, theirs in self.pairs)

    def time(self, effort: Effort) -> Iterator[Result]:
        """Time them in turn, forward + backward and inference."""
        work = cost(
            self.cell,
            steps=self.shape.steps,
            batch=self.shape.batch,
            input_size=self.shape.inputs,
            hidden_size=self.shape.units,
        )
        for mode in MODES:
            trains = mode == "forward + backward"
            times = in_turn(self.timed, mode, effort)
            products = (work.total if trains else work.forward).products
            for peer, contestant in enumerate(self.timed[1:], start=1):
                yield Result(
                    layer=self.layer,
                    shape=str(self.shape),
                    what=mode,
                    peer=contestant.name,
                    unit="ms",
                    ours=times.median(0) * 1e3,
                    theirs=times.median(peer) * 1e3,
                    ratio=times.ratio(peer, 0),
                    at_least=self.at_least[peer - 1] if trains else None,
                    flops=products / times.median(0),
                    ours_rounds=tuple(seconds * 1e3 for seconds in times.seconds[0]),
                    theirs_rounds=tuple(seconds * 1e3 for seconds in times.seconds[peer]),
                )


def torch_case(layer: str, shape: Shape) -> Case:
    """A layer of ours against torch.nn's."""
    task = make_task(shape)
    ours = contestants.our_layer(layer, task)
    theirs = contestants.torch_layer(layer, ours, task)
    required = requirements.TORCH[layer].get(shape)
    return Case(layer, shape, (ours, theirs), ((ours, theirs),), (required,), ours.module.cell)


def own_cell_case(shape: Shape) -> Case:
    """The user's cell against its eager loop, and against our LSTM, which has as many products."""
    task = make_task(shape)
    ours = contestants.own_cell_layer(task)
    eager = contestants.eager_layer(ours, task)
    lstm = contestants.our_layer("LSTM", task)
    lstm.name = "ostinato LSTM"
    torch_lstm = contestants.torch_layer("LSTM", lstm, task)
    required = requirements.EAGER.get(shape), requirements.BUILT_IN.get(shape)
    pairs = (ours, eager), (lstm, torch_lstm)
    return Case(OWN_CELL, shape, (ours, eager, lstm), pairs, required, ours.module.cell)


def in_process_cases(layers: Sequence[str], shapes: Sequence[Shape]) -> list[Case]:
    """Every case that needs torch alone."""
    cases = [torch_case(layer, shape) for layer in layers if layer in OURS for shape in shapes]
    return cases + [own_cell_case(shape) for shape in shapes if OWN_CELL in layers]


class Measured(NamedTuple):
    """What came of several cases: results, the largest difference found, the machine's peak in operations a second."""

    results: list[Result]
    difference: float
    peak: float


def run(cases: Sequence[Case], effort: Effort, say: Callable[[str], None]) -> Measured:
    """Compare all of them, then time all of them, and between them the machine's peak, which is the best found.

    Raises:
        DifferenceError: two contestants differ; nothing has been timed.
    """
    differences = [0.0]
    for case in cases:
        say(f"comparing {case}")
        differences.append(case.compare())
    results: list[Result] = []
    peaks = [0.0]
    for k, case in enumerate(cases, start=1):
        say(f"timing {case} ({k} of {len(cases)})")
        peaks.append(peak_flops())
        results += case.time(effort)
    return Measured(results, max(differences), max(peaks))


def run_paddle(
    measured: Sequence[Result], shapes: Sequence[Shape], effort: Effort, say: Callable[[str], None]
) -> Measured:
    """Compare Paddle's layers with ours, then time Paddle's alone, for a process that times nothing else.

    Its idle threads keep a core busy for a while, which would be counted as our time if we took turns: the ratios are
    those of its medians and ours in `measured`, the results against torch.nn at the same shapes.

    Raises:
        DifferenceError: two contestants differ; nothing has been timed.
    """
    peers, differences = {}, [0.0]
    for layer, shape in itertools.product(dict.fromkeys(result.layer for result in measured), shapes):
        say(f"comparing {layer} {shape} with Paddle")
        task = make_task(shape)
        ours = contestants.our_layer(layer, task)
        peers[layer, str(shape)] = theirs = contestants.paddle_layer(layer, ours, task)
        differences.append(compare(ours, theirs, f"{layer} {shape}"))
    results = []
    for ours in measured:
        if ours.what == "memory":
            continue
        say(f"timing Paddle's {ours.layer} {ours.shape}, {ours.what}")
        theirs = peers[ours.layer, ours.shape]
        times = in_turn([theirs], ours.what, effort)
        milliseconds = times.median(0) * 1e3
        results.append(
            replace(
                ours,
                peer=theirs.name,
                theirs=milliseconds,
                ratio=milliseconds / ours.ours,
                at_least=None,
                theirs_rounds=tuple(seconds * 1e3 for seconds in times.seconds[0]),
            )
        )
    return Measured(results, max(differences), 0.0)
