"""A learning rate for every member of a population, with torch's own optimisers."""

from __future__ import annotations

import math
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

    It works from its making on until `remove`.

    Args:
        optimizer: of parameters [P, ...]; the rate in its groups is overwritten.
        rates: P of them, none negative, not all zero.

    Raises:
        ShapeError: another number of rates than of members, or rates that are none.
    """

    def __init__(self, optimizer: Optimizer, rates: Sequence[float]) -> None:
        self.parameters = [p for group in optimizer.param_groups for p in group["params"]]
        members = {len(p) for p in self.parameters}
        if members != {len(rates)}:
            raise ShapeError(f"there are {len(rates)} learning rates for {sorted(members)[0]} members")
        if not all(0 <= rate < math.inf for rate in rates) or max(rates) == 0:
            raise ShapeError(f"the learning rates are {list(rates)}; each must be a number from 0 on, and one above 0")
        for group in optimizer.param_groups:
            group["lr"] = max(rates)
        self.shares = torch.tensor([rate / max(rates) for rate in rates], dtype=torch.float64)
        self._before: list[Tensor] = []
        self._hooks = (
            optimizer.register_step_pre_hook(self._remember),
            optimizer.register_step_post_hook(self._take_back),
        )

    def remove(self) -> None:
        """Let all members learn at the rate of the optimiser again."""
        for hook in self._hooks:
            hook.remove()

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
