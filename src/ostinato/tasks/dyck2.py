"""Dyck-2: brackets of two kinds, one inside the other. Which one may be closed now?"""

from __future__ import annotations

import numpy as np
import torch

from ..errors import DataError
from . import drawing
from .task import Examples, Recipe, Task

KINDS = 2
NOTHING = KINDS


class Dyck2(Task):
    """Well-formed words of ( [ ) ] (0 to 3); after every bracket: may ")" (0), "]" (1) or nothing (2) be closed next?

    The answer is the kind of the innermost bracket that is open, the top of a stack. Every word of the length is
    equally likely and there is no bound on the depth, which grows as the square root of the length.

    Source: Suzgun et al., 2019, and Hewitt et al., 2020, who bound the depth; the words are drawn as Arnold & Sleep,
    1980, draw them.
    Chance: a word of length T returns to depth 0 on average 3T / (T + 4) times, so the share of "nothing" is
    3 / (T + 4), and of the rest both kinds have a half. A network that sees the last bracket alone knows the answer
    after each opening one, half of the steps, which makes about 3/4: hence the high threshold.

    Example:
        >>> (inputs,), (targets,) = Dyck2().sample(length=10, count=1, seed=(0,))
        >>> "".join("([)]"[i] for i in inputs)
        '[()()()]()'
        >>> "".join(")]-"[i] for i in targets)
        '])])])]-)-'
    """

    name = "dyck2"
    threshold = 0.95
    num_embeddings = 2 * KINDS
    outputs = KINDS + 1
    every_step = True
    lengths = (10, 20, 40, 80)
    shortest = 2
    recipe = Recipe(steps=5000, hidden_size=64, learning_rate=3e-3)

    def chance(self, length: int) -> float:
        nothing = 3 / (length + 4)
        return max(nothing, (1 - nothing) / KINDS)

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        bits = drawing.stream(seed)
        kinds = drawing.integers(bits, KINDS, (length, count))
        left, depths = np.arange(length, 0, -1)[:, None], np.arange(length // 2 + 1)
        # Of all the ways to end a word from a depth with so many steps left, the share that closes a bracket now.
        share = depths * (left + depths + 2) / (2 * left * (depths + 1))
        chances = drawing.uniform(bits, (length, count))
        inputs, targets = np.empty_like(kinds), np.empty_like(kinds)
        stack = np.full((length // 2 + 1, count), NOTHING)
        depth, word, top = np.zeros(count, dtype=np.int64), np.arange(count), stack[0]
        for t in range(length):
            closes = chances[t] < share[t, depth]
            inputs[t] = np.where(closes, KINDS + top, kinds[t])
            depth += np.where(closes, -1, 1)
            top = np.where(closes, stack[depth, word], kinds[t])
            stack[depth, word] = targets[t] = top
        return Examples(torch.from_numpy(inputs.T.copy()), torch.from_numpy(targets.T.copy()))

    def check(self, length: int, count: int, seed: tuple[int, ...]) -> None:
        super().check(length, count, seed)
        if length % 2:
            raise DataError(f"length {length} is odd, and each bracket of {self.name} has its partner: it must be even")
