"""Nothing is timed whose numbers differ."""

from __future__ import annotations

import torch
from torch import Tensor

from .contestants import MODES, Contestant

#: The largest difference between two tensors over the largest number in them: float32, where a gradient of the weights
#: at B128 T256 is a sum over 32,768 rows.
TOLERANCE = 1e-5

#: After training steps: root mean squares of a difference over the way that a parameter of one network has gone. Adam
#: divides a gradient by its size, or by 1e-8 where it is smaller: a rounding error of 1e-9 is then a tenth of a step in
#: that one weight, 0.003 of the way of 1024. A single weight of 4096 that stood still would be 0.016.
TRAINED_TOLERANCE = 1e-2


class DifferenceError(Exception):
    """Two contestants computed different numbers."""


def compare(ours: Contestant, theirs: Contestant, where: str) -> float:
    """Run both, in every mode, and compare all that they computed.

    Returns:
        The largest difference, as `TOLERANCE` counts it.

    Raises:
        DifferenceError: a figure is missing, has another shape, is not finite, all zero, or differs.
    """
    worst = 0.0
    for mode in MODES:
        for contestant in (ours, theirs):
            contestant.clear()
            contestant.run(mode)
        found, expected = ours.figures(), theirs.figures()
        here = f"{where}, {mode}, {ours.name} against {theirs.name}"
        if found.keys() != expected.keys():
            raise DifferenceError(f"{here}: {', '.join(found)} against {', '.join(expected)}")
        for name, tensor in expected.items():
            worst = max(worst, difference(found[name], tensor, f"{here}: {name}"))
        for contestant in (ours, theirs):
            contestant.clear()
    return worst


def difference(found: Tensor, expected: Tensor, what: str) -> float:
    """The largest difference over the largest number expected.

    Raises:
        DifferenceError: it is above `TOLERANCE` or no number, or the shapes differ.
    """
    if found.shape != expected.shape:
        raise DifferenceError(f"{what} is {list(found.shape)} against {list(expected.shape)}")
    apart = (found - expected).abs()
    scale = expected.abs().max()
    worst = float(apart.max() / scale)
    if not worst <= TOLERANCE:  # NaN differs as well: numbers that are not finite, or nothing but zeros
        at = [int(k) for k in torch.unravel_index(apart.nan_to_num(torch.inf).argmax(), apart.shape)]
        raise DifferenceError(
            f"{what} differs at {at}: {float(found[*at]):.6g} against {float(expected[*at]):.6g}, which is "
            f"{worst:.2g} of its largest number; the tolerance is {TOLERANCE:g}"
        )
    return worst
