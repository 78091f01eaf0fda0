"""Clipping the gradient of every member of a population by its own norm."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import Parameter

from ..errors import ShapeError


def clip_member_norms(parameters: Iterable[Parameter], max_norm: float) -> Tensor:
    """Scale the gradients of each member, in place, so that their norm together is at most `max_norm`.

    For each member what `torch.nn.utils.clip_grad_norm_` does for one network (Pascanu et al., ICML 2013).

    Returns:
        The norms before, [P].

    Raises:
        ShapeError: no parameter has a gradient.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if not gradients:
        raise ShapeError("no parameter has a gradient: there is nothing to clip before backward")
    squares = [gradient.flatten(1).square().sum(1) for gradient in gradients]
    norms = torch.stack(squares).sum(0).sqrt()
    factors = (max_norm / (norms + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factors.view(-1, *[1] * (gradient.dim() - 1)))
    return norms
