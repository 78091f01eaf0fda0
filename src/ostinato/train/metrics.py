"""What a model is judged by. A score is higher where the model is better."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from ..errors import ShapeError

#: A criterion takes logits [N, K] and targets [N] and returns one number, as a tensor.
Criterion = Callable[[Tensor, Tensor], Tensor]

#: What a model takes, then the targets: each tensor has the examples along its first dimension.
Examples = Sequence[Tensor]


def accuracy(logits: Tensor, labels: Tensor) -> Tensor:
    """The share of the rows of logits [N, K] whose largest entry is at the label, labels [N]."""
    return (logits.argmax(dim=-1) == labels).double().mean()


def evaluate(model: nn.Module, examples: Examples, *criteria: Criterion, batch_size: int = 512) -> list[float]:
    """Each criterion over all the examples, with the model in eval mode and nothing kept for backward.

    Raises:
        ShapeError: no examples, tensors of different numbers of them, or a batch size below 1.
    """
    batches = cut(examples, batch_size)
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = torch.cat([model(*inputs) for *inputs, _ in batches])
            return [criterion(logits, examples[-1]).item() for criterion in criteria]
    finally:
        model.train(training)


def cut(examples: Examples, batch_size: int) -> list[tuple[Tensor, ...]]:
    """The examples in batches, in their order; the last one may be smaller.

    Raises:
        ShapeError: no examples, tensors of different numbers of them, or a batch size below 1.
    """
    sizes = [len(tensor) for tensor in examples]
    if not sizes or len(set(sizes)) > 1 or not sizes[0]:
        raise ShapeError(f"inputs and targets must be of one number of examples, at least 1, not {sizes}")
    if batch_size < 1:
        raise ShapeError(f"the batch size is {batch_size}; it must be at least 1")
    return list(zip(*(tensor.split(batch_size) for tensor in examples), strict=True))
