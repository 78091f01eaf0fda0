"""The digit sum on fresh examples: nothing can be learnt by heart, so what is missing on test is memory alone."""

from __future__ import annotations

from .digit_sum import DigitSumTask
from .task import Data, Task


class DigitSumFresh(DigitSumTask):
    """The sequences of the digit sum, but new ones in every batch.

    On 300 fixed examples a network can fail in two ways: it forgets, or it learns the examples by heart. Here it can
    only forget, so the two experiments together tell which one it was.

    Source: the sequences of `DigitSumTask`.
    Chance: as there.

    Example:
        >>> data = DigitSumFresh().data(length=6, seed=0)
        >>> print(data.train)
        None
        >>> data.test.inputs[0].tolist(), data.test.targets[0].item()
        ([4, 6, 0, 7, 0, 0], 10)
    """

    name = "digit-sum-fresh"

    def data(self, length: int, seed: int) -> Data:
        return Task.data(self, length, seed)
