"""What a task is: sequences with an answer, drawn from a seed, and the recipe to train a network on them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

from torch import Tensor

from ..errors import DataError

#: A target that asks for nothing: neither loss nor score look at that step (torch's `ignore_index`).
IGNORED = -100


class Examples(NamedTuple):
    """N sequences of T steps and what is asked of them.

    Attributes:
        inputs: ids [N, T] int64, or vectors [N, T, M] float32.
        targets: a class a sequence [N] int64, a class a step [N, T] int64 (`IGNORED` where nothing is asked), or a
            number a sequence [N] float32.
    """

    inputs: Tensor
    targets: Tensor


class Data(NamedTuple):
    """The examples to train on (None: fresh ones in every batch), to choose the best model by, and to test."""

    train: Examples | None
    dev: Examples
    test: Examples


@dataclass(frozen=True)
class Recipe:
    """How a network is trained on a task, unless the user says otherwise: Adam, the best on dev kept.

    Attributes:
        hidden_size: units; an embedding has as many features.
        steps: how many batches.
        clip_norm: the norm that the gradient of a network is clipped to, or None.
        evaluate_every: steps from one look at the dev examples to the next.
    """

    steps: int
    batch_size: int = 32
    hidden_size: int = 32
    learning_rate: float = 1e-3
    clip_norm: float | None = 1.0
    evaluate_every: int = 100


class Task(ABC):
    """A family of sequences, one problem for every length: the steps of a sequence, unless the task says otherwise.

    Attributes:
        name: on the command line.
        metric: "accuracy", of classes, or "mse", the mean squared error of numbers.
        threshold: a network has solved the task with an accuracy of at least this, or an mse of at most this.
        num_embeddings: inputs are ids from 0 to this - 1; None: they are vectors.
        input_size: M of inputs that are vectors.
        outputs: how many classes, or 1 for a number.
        every_step: targets are there for every step, not one for the whole sequence.
        lengths: what an experiment runs if it is not told otherwise.
        shortest: the shortest length there is.
    """

    name: ClassVar[str]
    metric: ClassVar[Literal["accuracy", "mse"]] = "accuracy"
    threshold: ClassVar[float] = 0.9
    num_embeddings: ClassVar[int | None] = None
    input_size: ClassVar[int] = 1
    outputs: ClassVar[int]
    every_step: ClassVar[bool] = False
    lengths: ClassVar[tuple[int, ...]]
    shortest: ClassVar[int] = 1
    recipe: ClassVar[Recipe]

    @abstractmethod
    def chance(self, length: int) -> float:
        """The metric of the best answer that is the same whatever the sequence: what any network has to beat."""

    @abstractmethod
    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        """`count` fresh examples; equal seeds give equal examples, for ever, and other seeds others.

        Raises:
            DataError: a length below `shortest`, a count below 1, or a negative seed.
        """

    def data(self, length: int, seed: int) -> Data:
        """The examples of an experiment with this seed; here: fresh ones to train on, 200 for dev, 1,000 to test.

        Raises:
            DataError: a length below `shortest`, or a negative seed.
        """
        return Data(None, self.sample(length, 200, (seed, length, 1)), self.sample(length, 1000, (seed, length, 2)))

    def check(self, length: int, count: int, seed: tuple[int, ...]) -> None:
        """What `sample` refuses."""
        if length < self.shortest:
            raise DataError(f"length {length} is too short for {self.name}: it takes at least {self.shortest}")
        if count < 1:
            raise DataError(f"the count of examples is {count}; it must be at least 1")
        if min(seed, default=0) < 0:
            raise DataError(f"the seed is {min(seed)}; it must be 0 or more")
