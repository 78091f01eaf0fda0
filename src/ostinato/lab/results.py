"""What an experiment leaves behind: how it was run, and one result for every network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class Run:
    """One experiment.

    Attributes:
        experiment: its name, "memory".
        command: what to type to repeat it.
        settings: every setting, as JSON has it.
        versions: of Python and every package that the numbers depend on, by name.
        machine: processor, cores, threads, operating system.
        started: when, in UTC, as ISO 8601 has it.
    """

    experiment: str
    command: str
    settings: dict[str, Any]
    versions: dict[str, str]
    machine: dict[str, str]
    started: str


@dataclass(frozen=True)
class Curve:
    """A training at its evaluations, four lists of one size; `dev` and `dev_loss` on the dev examples.

    `train_loss` is the mean over the steps since the evaluation before.
    """

    step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    dev_loss: list[float] = field(default_factory=list)
    dev: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Result:
    """One network.

    Attributes:
        cell, length, seed: which one; no two results of a run agree in all three.
        dev, test: the metric of the task, of the best model by dev; NaN if there never was one.
        best_step: after how many steps the best model was found; 0 if there never was one.
        solved_step: the first evaluation that reached the task's threshold on dev, or None.
        steps: how many were made.
        status: "finished", or "diverged": its loss was NaN or infinite, and it was stopped.
        seconds: its share of the time of the population that it was trained in.
        curve: the training at its evaluations.
    """

    cell: str
    length: int
    seed: int
    dev: float
    test: float
    best_step: int
    solved_step: int | None
    steps: int
    status: Literal["finished", "diverged"]
    seconds: float
    curve: Curve
