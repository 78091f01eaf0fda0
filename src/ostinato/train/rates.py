"""A learning rate for every member of a population, with torch's own optimisers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..errors import ShapeError


class LearningRates:
    """Lets member i of a population learn at `rates[i]`.

    The optimiser itself steps at the largest of the rates; then every member is taken back to the share
    rates[i] / largest of its way. That is the step at its own rate wherever a step is proportional to the rate: SGD
    with or without momentum, Adam, AdamW (its weight decay too), RMSprop, Adagrad. It is not in LBFGS and Rprop.

    Args:
        optimizer: of parameters [P, ...]; the rate in its groups is overwritten.
        rates: P of them, none negative, not all zero.
    """

    def __init__(self, optimizer: Optimizer, rates: Sequence[float]) -> None:
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        members = {len(p) for p in self.parameters}
        if members != {len(rates)}:
            raise ShapeError(f"there are {len(rates)} learning rates for {sorted(members)[0]} members")
        if min(rates) < 0 or max(rates) == 0:
            raise ShapeError(f"the learning rates are {list(rates)}; none may be negative, and one must be positive")
        for group in optimizer.param_groups:
            group["lr"] = max(rates)
        self.shares = torch.tensor([rate / max(rates) for rate in rates], dtype=torch.float64)
        self._before: list[Tensor] = []
        optimizer.register_step_pre_hook(self._remember)
        optimizer.register_step_post_hook(self._take_back)

    def keep(self, indices: Sequence[int]) -> None:
        """Forget all members but these."""
        self.shares = self.shares[list(indices)]

    def _remember(self, *_: Any) -> None:
        self._before = [p.detach().clone() for p in self.parameters]

    def _take_back(self, *_: Any) -> None:
        with torch.no_grad():
            for parameter, before in zip(self.parameters, self._before, strict=True):
                shares = self.shares.to(parameter).view(-1, *[1] * (parameter.dim() - 1))
                parameter.copy_(torch.lerp(before, parameter, shares))
        self._before = []
