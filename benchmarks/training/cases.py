"""Which networks are compared and timed against which, and what came of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch

from ostinato.cells import find
from ostinato.derive.cost import cost

from ..cases import Measured, Result
from ..contestants import import_paddle
from ..requirements import TRAINING
from ..timing import Effort, Times, in_turn, peak_flops
from .comparison import compare
from .contestants import PopulationTrainer, Trainer, torch_trainer
from .jax_contestant import JaxTrainer, limit
from .task import SHAPE, Task, make_task

MICROSECONDS = 1e6  # in a second

Say = Callable[[str], None]


def each(make: Callable[[Task], Trainer], task: Task) -> list[Trainer]:
    """A trainer for every network of a task."""
    return [make(task.of(network)) for network in range(task.networks)]


def run(kinds: Sequence[str], populations: tuple[int, int], effort: Effort, say: Say) -> Measured:
    """Two populations and a single network of ours, and one of torch.nn: compared, then timed in turn.

    Raises:
        DifferenceError: two contestants differ; nothing has been timed.
    """
    contests: dict[str, list[Trainer]] = {}
    differences = [0.0]
    for kind in kinds:
        say(f"comparing {kind} with torch.nn")
        contests[kind] = []
        for networks in (*populations, 1):
            task = make_task(kind, networks)
            ours, theirs = PopulationTrainer(task), each(torch_trainer, task)
            differences.append(compare(task, ours, theirs))
            contests[kind].append(ours)
        contests[kind].append(theirs[0])
    results, peaks = [], [0.0]
    for kind, contestants in contests.items():
        say(f"timing {kind}")
        peaks.append(peak_flops())
        contest = Contest(kind, contestants, in_turn(contestants, "training step", effort))
        small, large, one, torch_nn = range(4)
        results += [
            contest.result(small, torch_nn),
            contest.result(large, small),
            contest.result(large, torch_nn),
            contest.result(one, torch_nn),
        ]
    return Measured(results, max(differences), max(peaks))


def run_jax(kinds: Sequence[str], networks: int, threads: int, effort: Effort, say: Say) -> Measured:
    """For a fresh process: a population of ours and as many networks in JAX are compared, then timed in turn.

    JAX does it on one device, and on a device for each thread where every one gets as many networks.

    Raises:
        DifferenceError: two contestants differ; nothing has been timed.
    """
    torch.set_num_threads(threads)
    limit(threads)
    devices = [1, threads] if threads > 1 and networks % threads == 0 else [1]
    contests: dict[str, list[Trainer]] = {}
    differences = [0.0]
    for kind in kinds:
        say(f"comparing {kind} with JAX")
        task = make_task(kind, networks)
        ours, theirs = PopulationTrainer(task), [JaxTrainer(task, count) for count in devices]
        differences.append(compare(task, ours, *([peer] for peer in theirs)))
        contests[kind] = [ours, *theirs]
    results = []
    for kind, contestants in contests.items():
        say(f"timing {kind} and JAX")
        contest = Contest(kind, contestants, in_turn(contestants, "training step", effort))
        results += [contest.result(0, k) for k in range(1, len(contestants))]
    return Measured(results, max(differences), 0.0)


def run_paddle(measured: Sequence[Result], threads: int, effort: Effort, say: Say) -> Measured:
    """For a fresh process: networks in Paddle are compared with ours, then timed alone, like Paddle's layers.

    Args:
        measured: of a population of ours, a result for every kind of network.

    Raises:
        DifferenceError: two contestants differ; nothing has been timed.
    """
    from .paddle_contestants import course_trainer, paddle_trainer  # this starts Paddle's threads

    torch.set_num_threads(threads)
    import_paddle().base.core.set_num_threads(threads)
    peers: dict[str, list[Trainer]] = {}
    differences = [0.0]
    for ours in measured:
        say(f"comparing {ours.layer} with Paddle")
        task = make_task(ours.layer, ours.networks)
        theirs = each(paddle_trainer, task), each(course_trainer, task)
        differences.append(compare(task, PopulationTrainer(task), *theirs))
        peers[ours.layer] = [trainers[0] for trainers in theirs]
    results = []
    for ours in measured:
        for peer in peers[ours.layer]:
            say(f"timing {ours.layer}, Paddle, {peer.name}")
            times = in_turn([peer], "training step", effort)
            results.append(_alone(ours, peer.name, times))
    return Measured(results, max(differences), 0.0)


def _alone(ours: Result, peer: str, times: Times) -> Result:
    """What was measured of ours against a peer timed by itself: its rounds do not belong to rounds of ours."""
    theirs = times.median(0) * MICROSECONDS
    return replace(
        ours,
        peer=peer,
        theirs=theirs,
        ratio=theirs / ours.ours,
        at_least=TRAINING.get((ours.networks, peer)),
        ours_rounds=(),
        theirs_rounds=tuple(seconds * MICROSECONDS for seconds in times.seconds[0]),
    )


class Contest(NamedTuple):
    """Trainers of one kind of network, and their times in turn."""

    kind: str
    trainers: Sequence[Trainer]
    times: Times

    def result(self, ours: int, theirs: int) -> Result:
        """One of them against another, the time of a network."""
        our_rounds, their_rounds = self._microseconds(ours), self._microseconds(theirs)
        networks, peer = self.trainers[ours].networks, self.trainers[theirs]
        microseconds = statistics.median(our_rounds)
        return Result(
            layer=self.kind,
            shape=str(SHAPE),
            what="training step",
            peer=peer.name,
            unit="µs",
            ours=microseconds,
            theirs=statistics.median(their_rounds),
            ratio=self.times.ratio(theirs, ours) * networks / peer.networks,
            at_least=TRAINING.get((networks, peer.name)),
            flops=_products(self.kind) / microseconds * MICROSECONDS,
            ours_rounds=our_rounds,
            theirs_rounds=their_rounds,
            networks=networks,
        )

    def _microseconds(self, trainer: int) -> tuple[float, ...]:
        """Of one network, a number for each round."""
        networks = self.trainers[trainer].networks
        return tuple(seconds * MICROSECONDS / networks for seconds in self.times.seconds[trainer])


def _products(kind: str) -> int:
    """Operations of the matrix products of the recurrent layer; the rest of the network has a hundredth of them."""
    work = cost(
        find(kind.lower()), steps=SHAPE.steps, batch=SHAPE.batch, input_size=SHAPE.inputs, hidden_size=SHAPE.units
    )
    return work.total.products
