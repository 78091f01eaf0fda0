"""One vector a sequence: the mean over its steps, or its last step. B batch, T steps, D features."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import ShapeError


def masked_mean(output: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
    """The mean of [B, T, D] over the first `lengths` [B] steps (all if None): [B, D], 0 for a length of 0.

    What lies past a length has no influence, NaN included, and gets no gradient.

    Raises:
        ShapeError: shapes that do not fit, or a length outside 0 to T.
    """
    lengths = _check(output, lengths)
    past = torch.arange(output.shape[1], device=output.device) >= lengths.unsqueeze(1)
    total = output.masked_fill(past.unsqueeze(2), 0.0).sum(dim=1)
    return total / lengths.clamp(min=1).unsqueeze(1)


def last_state(output: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
    """Step `lengths - 1` of every sequence in [B, T, D] (the last if None): [B, D], 0 for a length of 0.

    Raises:
        ShapeError: shapes that do not fit, or a length outside 0 to T.
    """
    lengths = _check(output, lengths)
    if not output.shape[1]:
        return output.sum(dim=1)
    rows = torch.arange(len(lengths), device=output.device)
    last = output[rows, (lengths - 1).clamp(min=0)]
    return last.masked_fill((lengths == 0).unsqueeze(1), 0.0)


def _check(output: Tensor, lengths: Tensor | Sequence[int] | None) -> Tensor:
    """The lengths as a tensor [B] beside the output."""
    if output.dim() != 3:
        raise ShapeError(f"output is {list(output.shape)}; it must be [B, T, D]")
    batch, steps, _ = output.shape
    if lengths is None:
        return torch.full((batch,), steps, device=output.device)
    lengths = torch.as_tensor(lengths, device=output.device)
    if lengths.shape != (batch,) or lengths.is_floating_point() or lengths.dtype == torch.bool:
        raise ShapeError(
            f"lengths is {list(lengths.shape)} of {lengths.dtype}; for output {list(output.shape)} it must be "
            f"[{batch}] whole numbers"
        )
    outside = (lengths < 0) | (lengths > steps)
    if outside.any():
        raise ShapeError(f"a length is {int(lengths[outside][0])}; lengths go from 0 to T = {steps}")
    return lengths
