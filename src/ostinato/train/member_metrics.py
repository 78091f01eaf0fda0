"""Losses and metrics of a population, one number a member. P members, B examples, T steps, C classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from ..errors import ShapeError
from ..nn import Population
from .metrics import Examples

#: Takes what a population gives, [P, B, ...], and the targets, [P, B, ...] or [1, B, ...]; returns [P].
MemberCriterion = Callable[[Tensor, Tensor], Tensor]

# A target that asks for nothing, as in torch's cross_entropy.
_IGNORE_INDEX = -100

# How many steps of how many sequences are evaluated at a time.
_ROWS = 1 << 18


def member_cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    """The mean cross-entropy of each member, over the targets that are not -100: [P].

    Args:
        logits: [P, B, C], or [P, B, T, C] where there is a target for every step.
        targets: [P or 1, B] or [P or 1, B, T].
    """
    targets = targets.expand(logits.shape[:-1])
    losses = functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
    asked = (targets != _IGNORE_INDEX).flatten(1).sum(1)
    return losses.view(len(logits), -1).sum(1) / asked


def member_accuracy(logits: Tensor, targets: Tensor) -> Tensor:
    """The share of right classes of each member, over the targets that are not -100: [P]. Shapes: see above."""
    asked = (targets != _IGNORE_INDEX).expand(logits.shape[:-1])
    right = (logits.argmax(-1) == targets) & asked
    return right.flatten(1).sum(1).double() / asked.flatten(1).sum(1)


def member_squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean squared error of each member, outputs [P, B, 1] and targets [P or 1, B]: [P]."""
    return (outputs.squeeze(-1) - targets).square().flatten(1).mean(1)


def negated(criterion: MemberCriterion) -> MemberCriterion:
    """What is small where a member is good, as a score, which is large there."""
    return lambda outputs, targets: -criterion(outputs, targets)


def evaluate_members(population: Population, examples: Examples, *criteria: MemberCriterion) -> list[Tensor]:
    """Each criterion over all the examples, [P] float64, in eval mode and with nothing kept for backward.

    Args:
        examples: the inputs and, last, the targets: [P, N, ...] each, or [1, N, ...] for all members.
    """
    *inputs, targets = examples
    _check(examples, len(population))
    steps = inputs[0].shape[2] if inputs[0].dim() > 2 else 1
    at_once = max(1, _ROWS // (len(population) * max(1, steps)))
    training = population.training
    population.eval()
    try:
        with torch.no_grad():
            pieces = zip(*(tensor.split(at_once, dim=1) for tensor in inputs), strict=True)
            outputs = torch.cat([population(*piece) for piece in pieces], dim=1)
            return [criterion(outputs, targets).double() for criterion in criteria]
    finally:
        population.train(training)


def _check(examples: Examples, members: int) -> None:
    for tensor in examples:
        if tensor.dim() < 2 or tensor.shape[0] not in (1, members) or tensor.shape[1] != examples[0].shape[1]:
            shapes = ", ".join(str(list(t.shape)) for t in examples)
            raise ShapeError(
                f"examples are {shapes}; for a population of {members} each must be [{members}, N, ...], or "
                "[1, N, ...] for all members"
            )
