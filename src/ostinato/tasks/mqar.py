"""Multi-query associative recall: pairs of a key and a value, then some of the keys again. What was the value?"""

from __future__ import annotations

import numpy as np
import torch

from . import drawing
from .task import IGNORED, Examples, Recipe, Task

PAIRS = 4
VALUES, KEYS = 8, 8
FILLER = VALUES + KEYS


class MQAR(Task):
    """Four pairs of a key (8 to 15) and a value (0 to 7), then each key once more, among filler (16): its value?

    The keys of a sequence are all different, the values need not be. The queries come in any order at any place after
    the pairs; only there is a value asked for. The length is that of the whole sequence, so a longer one is a longer
    wait for the same four pairs.

    Source: Arora et al., Zoology, 2023, in small: there are up to 64 pairs out of a vocabulary of 8,192 and no filler
    that is always the same.
    Chance: 1/8, as each value is drawn for itself, all eight equally likely.

    Example:
        >>> (inputs,), (targets,) = MQAR().sample(length=16, count=1, seed=(0,))
        >>> inputs.tolist()
        [15, 1, 13, 0, 9, 4, 12, 2, 16, 9, 15, 12, 13, 16, 16, 16]
        >>> targets[8:].tolist()
        [-100, 4, 1, 2, 0, -100, -100, -100]
    """

    name = "mqar"
    num_embeddings = FILLER + 1
    outputs = VALUES
    every_step = True
    lengths = (16, 32, 64)
    shortest = 3 * PAIRS
    recipe = Recipe(steps=10000, hidden_size=64, learning_rate=3e-3)

    def chance(self, length: int) -> float:
        return 1 / VALUES

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        bits, begin = drawing.stream(seed), 2 * PAIRS
        keys = VALUES + drawing.distinct(bits, KEYS, count, PAIRS)
        values = drawing.integers(bits, VALUES, (count, PAIRS))
        places = begin + drawing.distinct(bits, length - begin, count, PAIRS)
        inputs = np.full((count, length), FILLER)
        inputs[:, 0:begin:2], inputs[:, 1:begin:2] = keys, values
        np.put_along_axis(inputs, places, keys, axis=1)
        targets = np.full_like(inputs, IGNORED)
        np.put_along_axis(targets, places, values, axis=1)
        return Examples(torch.from_numpy(inputs), torch.from_numpy(targets))
