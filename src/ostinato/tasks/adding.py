"""The adding problem: of many numbers two are marked, and their sum is asked for."""

from __future__ import annotations

import numpy as np
import torch

from . import drawing
from .task import Examples, Recipe, Task


class Adding(Task):
    """Every step is a number in [0, 1) and a mark, 0 or 1; two steps are marked, and the target is their sum.

    One mark is somewhere in the first half of the sequence, the other somewhere in the second; of an odd length the
    second half is the longer one.

    Source: Hochreiter & Schmidhuber, 1997; the form of Arjovsky, Shah & Bengio, 2016. Bai, Kolter & Koltun, 2018, give
    the test loss at length 600: GRU 5.3e-5, LSTM 0.164, RNN 0.177.
    Chance: 1/6, for the answer 1: each number has a variance of 1/12, and what is independent adds up.

    Example:
        >>> (inputs,), (target,) = Adding().sample(length=6, count=1, seed=(0,))
        >>> numbers, marks = inputs.T
        >>> [f"{number:.3f}" for number in numbers], marks.int().tolist()
        (['0.144', '0.949', '0.312', '0.423', '0.828', '0.409'], [0, 1, 0, 1, 0, 0])
        >>> f"{target:.3f}"
        '1.372'
    """

    name = "adding"
    metric = "mse"
    threshold = 0.01
    input_size = 2
    outputs = 1
    lengths = (50, 100, 200)
    shortest = 2
    recipe = Recipe(steps=6000, hidden_size=64, learning_rate=3e-3)

    def chance(self, length: int) -> float:
        return 1 / 6

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        bits, half = drawing.stream(seed), length // 2
        first, second = drawing.integers(bits, half, count), half + drawing.integers(bits, length - half, count)
        inputs = np.zeros((count, length, 2), dtype=np.float32)
        numbers, marks = inputs[..., 0], inputs[..., 1]
        numbers[:] = drawing.uniform(bits, (count, length))
        rows = np.arange(count)
        marks[rows, first] = marks[rows, second] = 1
        return Examples(torch.from_numpy(inputs), torch.from_numpy(numbers[rows, first] + numbers[rows, second]))
