"""The settings of an experiment on memory, and the command that stands for them."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import DataError
from ..tasks import Task, find


@dataclass(frozen=True)
class Settings:
    """What is trained, and how: a population of networks for every cell and length. Equal settings, equal numbers.

    Attributes:
        task: its name.
        cells: names of cells of the library, or path/to/file.py:name of one's own.
        seeds: how many networks a cell and length; network i draws its data and its starting weights from `seed` + i.
        steps: batches that each is trained on.
        clip_norm: what the norm of the gradient of a network is clipped to, or None.
        data: None for data that is drawn, or a folder of the course's text files, one folder in it a length.

    Raises:
        DataError: what cannot be run; the message says which value, and what would be right.
    """

    task: str
    cells: tuple[str, ...]
    lengths: tuple[int, ...]
    seeds: int
    seed: int
    steps: int
    batch_size: int
    hidden_size: int
    learning_rate: float
    clip_norm: float | None
    evaluate_every: int
    data: str | None = None

    def __post_init__(self) -> None:
        task = find(self.task)
        for name in ("cells", "lengths"):
            _check_list(name, getattr(self, name))
        for length in self.lengths:
            task.check(length, 1, (0,))
        for name in ("seeds", "steps", "batch_size", "hidden_size", "evaluate_every"):
            if getattr(self, name) < 1:
                raise DataError(f"{name.replace('_', ' ')} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.seed < 2**63 - self.seeds:
            raise DataError(f"the seed is {self.seed}; it must be from 0 to {2**63 - 1 - self.seeds}")
        for name in ("learning_rate", "clip_norm"):
            value = getattr(self, name)
            if value is not None and not 0 < value < float("inf"):
                raise DataError(f"{name.replace('_', ' ')} is {value}; it must be above 0 and finite")
        if self.data is not None and self.task != "digit-sum":
            raise DataError(f"data files are those of digit-sum; {self.task} draws its own")

    @classmethod
    def of(cls, task: str = "digit-sum", cells: Sequence[str] = ("srn", "lstm"), **others: Any) -> Settings:
        """The recipe of the task, 16 seeds from 0 on; what is given and not None goes before."""
        found = find(task)
        recipe = found.recipe
        defaults = {
            "lengths": found.lengths,
            "seeds": 16,
            "seed": 0,
            "steps": recipe.steps,
            "batch_size": recipe.batch_size,
            "hidden_size": recipe.hidden_size,
            "learning_rate": recipe.learning_rate,
            "clip_norm": recipe.clip_norm,
            "evaluate_every": recipe.evaluate_every,
        }
        given = {name: value for name, value in others.items() if value is not None}
        settings = {**defaults, **given}
        return cls(task, tuple(cells), **{**settings, "lengths": tuple(settings["lengths"])})

    @property
    def found_task(self) -> Task:
        return find(self.task)

    @property
    def members(self) -> range:
        """The seeds."""
        return range(self.seed, self.seed + self.seeds)

    def command(self) -> str:
        """What to type to run these settings again, whatever the defaults are by then."""
        words = ["ostinato", "memory", "--task", self.task, "--cells", *self.cells, "--lengths", *self.lengths]
        words += ["--seeds", self.seeds, "--seed", self.seed, "--steps", self.steps, "--batch-size", self.batch_size]
        words += ["--hidden-size", self.hidden_size, "--learning-rate", self.learning_rate]
        words += ["--clip-norm", "none" if self.clip_norm is None else self.clip_norm]
        words += ["--evaluate-every", self.evaluate_every]
        if self.data is not None:
            words += ["--data", self.data]
        return shlex.join(map(str, words))


def _check_list(name: str, values: tuple[object, ...]) -> None:
    if not values:
        raise DataError(f"no {name} are given; at least one is needed")
    twice = [value for i, value in enumerate(values) if value in values[:i]]
    if twice:
        raise DataError(f"{twice[0]!r} is there twice among the {name}; once is enough")
