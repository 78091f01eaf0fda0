"""No training step is timed that leads elsewhere."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from ..comparison import TRAINED_TOLERANCE, DifferenceError, difference
from .contestants import Trainer
from .task import Task

#: Training steps after each of which losses and parameters are compared.
STEPS = 3


def compare(task: Task, ours: Trainer, *peers: Sequence[Trainer]) -> float:
    """Let all train a few steps, and compare losses and parameters after each, network by network.

    Args:
        peers: each a population of the networks of the task, or every one of these networks by itself.

    Returns:
        The largest difference of parameters, as `TRAINED_TOLERANCE` counts it.

    Raises:
        DifferenceError: a loss or a parameter is missing, has another shape, is not finite, stands still or differs.
    """
    worst = 0.0
    for step in range(1, STEPS + 1):
        for trainer in itertools.chain([ours], *peers):
            trainer.run("training step")
        for peer in peers:
            here = f"{task.kind}, step {step}, {ours.name} against {peer[0].name}"
            worst = max(worst, _compare(task.weights, ours.figures(), _together(peer), here))
    return worst


def _together(trainers: Sequence[Trainer]) -> dict[str, Tensor]:
    figures = [trainer.figures() for trainer in trainers]
    return {name: torch.cat([f[name] for f in figures]) for name in figures[0]}


def _compare(start: dict[str, Tensor], found: dict[str, Tensor], expected: dict[str, Tensor], here: str) -> float:
    wanted = {"loss", *start}
    for figures in (found, expected):
        if figures.keys() != wanted:
            raise DifferenceError(f"{here}: there are {', '.join(figures)}; there should be {', '.join(wanted)}")
    difference(found["loss"], expected["loss"], f"{here}: loss")
    return max(_apart(found[name], expected[name], start[name], f"{here}: {name}") for name in start)


def _apart(found: Tensor, expected: Tensor, start: Tensor, what: str) -> float:
    """Of the network where it is largest."""
    if not found.shape == expected.shape == start.shape:
        raise DifferenceError(f"{what} is {list(found.shape)} against {list(expected.shape)}, from {list(start.shape)}")
    apart = _size(found - expected) / _size(expected - start)
    network = int(apart.nan_to_num(torch.inf).argmax())
    worst = float(apart[network])
    if not worst <= TRAINED_TOLERANCE:  # NaN differs as well: numbers that are not finite, or that have not moved
        raise DifferenceError(
            f"{what} of network {network} differs by {worst:.2g} of the way it has gone; the tolerance is "
            f"{TRAINED_TOLERANCE:g}"
        )
    return worst


def _size(tensor: Tensor) -> Tensor:
    """The root of the mean square of each network [P]."""
    return tensor.flatten(1).square().mean(1).sqrt()
