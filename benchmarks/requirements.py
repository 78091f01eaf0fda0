"""The shapes that are measured, and how fast and small the layers have to be at each.

Every requirement is a least ratio, theirs / ours: of times, or of bytes.
"""

from __future__ import annotations

from typing import NamedTuple


class Shape(NamedTuple):
    """B sequences of T steps, M inputs, D units."""

    batch: int
    steps: int
    inputs: int
    units: int

    def __str__(self) -> str:
        return f"B{self.batch} T{self.steps} M{self.inputs} D{self.units}"


TINY = Shape(2, 5, 10, 10)
SMALL = Shape(8, 20, 32, 32)
MEDIUM = Shape(64, 20, 32, 32)
LARGE = Shape(32, 64, 128, 128)
HUGE = Shape(128, 256, 256, 256)
SHAPES = (TINY, SMALL, MEDIUM, LARGE, HUGE)

#: Forward + backward against the layer of torch.nn.
TORCH: dict[str, dict[Shape, float]] = {
    "LSTM": {TINY: 1.0, SMALL: 2.2, MEDIUM: 1.8, LARGE: 1.6, HUGE: 1.4},
    "GRU": {TINY: 1.0, SMALL: 6.0, MEDIUM: 4.0, LARGE: 2.5, HUGE: 1.5},
    "SRN": {TINY: 1.0, SMALL: 5.0, MEDIUM: 4.0, LARGE: 2.0, HUGE: 1.5},
}

#: Forward + backward of a user's cell against an eager loop of the same cell.
EAGER: dict[Shape, float] = {SMALL: 15.0, HUGE: 6.0}

#: Forward + backward of a user's cell against our LSTM, which has as many products: at most 1.2 times its time.
BUILT_IN: dict[Shape, float] = dict.fromkeys(SHAPES, 1 / 1.2)

#: Peak memory of forward + backward against the layer of torch.nn.
MEMORY: dict[Shape, float] = {HUGE: 1.0}

#: Networks that are trained as one.
POPULATIONS = 16, 64

#: One training step of one network out of a population of ours, against one network of theirs. One out of 64 costs no
#: more than one out of 16.
TRAINING: dict[tuple[int, str], float] = {
    (16, "torch.nn"): 10.0,
    (16, "JAX"): 2.5,
    (16, "course's own"): 150.0,
    (64, "population of 16"): 1.0,
}
