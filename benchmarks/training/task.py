"""What is trained: the digit-sum network of a chapter on recurrent networks, several of them side by side."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ostinato.nn import SequenceClassifier
from ostinato.tasks import DigitSum

from ..requirements import SMALL

SHAPE = SMALL
DIGITS = 10
CLASSES = 19
LEARNING_RATE = 1e-3
KINDS = ("LSTM", "SRN")


class Task(NamedTuple):
    """Starting weights and batches of P networks, which share neither.

    Attributes:
        kind: LSTM or SRN.
        weights: [P, ...], by the names that they have in a `SequenceClassifier`.
        digits: [N, P, B, T] int64: N batches, met one after the other and then again.
        labels: [N, P, B] int64.
    """

    kind: str
    weights: dict[str, Tensor]
    digits: Tensor
    labels: Tensor

    @property
    def networks(self) -> int:
        """P."""
        return self.digits.shape[1]

    def of(self, network: int) -> Task:
        """The task of one network, P being 1."""
        only = slice(network, network + 1)
        weights = {name: tensor[only] for name, tensor in self.weights.items()}
        return Task(self.kind, weights, self.digits[:, only], self.labels[:, only])


def make_task(kind: str, networks: int) -> Task:
    """Network k starts from seed k, and its batches are those of the digit-sum data of seed k, in random order."""
    weights, batches = [], []
    for seed in range(networks):
        torch.manual_seed(seed)
        weights.append(make_network(kind).state_dict())
        batches.append(_batches(seed))
    digits, labels = (torch.stack(parts, dim=1) for parts in zip(*batches, strict=True))
    return Task(kind, {name: torch.stack([w[name] for w in weights]) for name in weights[0]}, digits, labels)


def make_network(kind: str) -> SequenceClassifier:
    """One network of ours, with one bias a gate: the equations have one."""
    return SequenceClassifier(
        DIGITS, CLASSES, cell=kind.lower(), embedding_dim=SHAPE.inputs, hidden_size=SHAPE.units, bias="single"
    )


def _batches(seed: int) -> tuple[Tensor, Tensor]:
    """Digits [N, B, T] and labels [N, B], whole batches only."""
    digits, labels = DigitSum.generate(SHAPE.steps, seed=seed).train[:2]
    count = len(labels) // SHAPE.batch
    order = torch.randperm(len(labels))[: count * SHAPE.batch]
    return digits[order].view(count, SHAPE.batch, -1), labels[order].view(count, SHAPE.batch)
