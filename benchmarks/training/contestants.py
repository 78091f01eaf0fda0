"""Networks in training, of ours and of torch.nn, behind the interface of `benchmarks.contestants`."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ostinato.nn import Population
from ostinato.train import member_cross_entropy

from ..contestants import THEIRS, Mode
from .task import CLASSES, DIGITS, LEARNING_RATE, SHAPE, Task, make_network

Loss = Callable[[Tensor, Tensor], Tensor]


class Trainer(Protocol):
    """Networks with their optimiser and batches.

    Attributes:
        networks: P, how many a step trains.
    """

    name: str
    networks: int

    def run(self, mode: Mode) -> None:
        """One training step of all networks, with the next batch: what is timed."""
        ...

    def clear(self) -> None:
        """Nothing is dropped between steps: each goes on from the one before."""
        ...

    def figures(self) -> dict[str, Tensor]:
        """After the last step: its losses [P], and every parameter [P, ...] by its name in a `SequenceClassifier`."""
        ...


class TorchTrainer:
    """A module trained by autograd and fused Adam."""

    def __init__(self, name: str, module: nn.Module, loss: Loss, batches: list[tuple[Tensor, Tensor]]) -> None:
        self.name, self.module, self.loss = name, module, loss
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimizer = torch.optim.Adam(self.parameters, LEARNING_RATE, fused=True)
        self.batches = itertools.cycle(batches)
        self.networks = 1

    def run(self, mode: Mode) -> None:
        digits, labels = next(self.batches)
        self.losses = self.loss(self.module(digits), labels)
        for parameter in self.parameters:  # what optimizer.zero_grad() does, in a tenth of its time
            parameter.grad = None
        self.losses.sum().backward()
        self.optimizer.step()

    def clear(self) -> None:
        pass

    def figures(self) -> dict[str, Tensor]:
        parameters = {name: p.detach().unsqueeze(0) for name, p in self.module.named_parameters() if p.requires_grad}
        return {"loss": self.losses.detach().view(1)} | parameters


class PopulationTrainer(TorchTrainer):
    """All networks of a task as one population."""

    module: Population

    def __init__(self, task: Task) -> None:
        population = Population.build(lambda: make_network(task.kind), range(task.networks))
        batches = list(zip(task.digits.unbind(), task.labels.unbind(), strict=True))
        super().__init__(f"population of {task.networks}", population, member_cross_entropy, batches)
        self.networks = task.networks

    def figures(self) -> dict[str, Tensor]:
        parameters = self.module.network.named_parameters()
        return {"loss": self.losses.detach()} | {name: p.detach() for name, p in parameters}


class TorchClassifier(nn.Module):
    """One network of the layers of torch.nn, the parameters named as in a `SequenceClassifier`."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.embedding = nn.Embedding(DIGITS, SHAPE.inputs)
        self.recurrent = THEIRS[kind](SHAPE.inputs, SHAPE.units)
        self.linear = nn.Linear(SHAPE.units, CLASSES)
        with torch.no_grad():  # the second bias, which is in no equation, does not learn
            self.recurrent.bias_hh_l0.zero_().requires_grad_(False)

    def forward(self, digits: Tensor) -> Tensor:
        output, _ = self.recurrent(self.embedding(digits.t()))
        return self.linear(output[-1])


def torch_trainer(task: Task) -> TorchTrainer:
    """torch.nn on a task of one network."""
    module = TorchClassifier(task.kind)
    module.load_state_dict({name: tensor[0] for name, tensor in task.weights.items()}, strict=False)
    batches = list(zip(task.digits[:, 0].unbind(), task.labels[:, 0].unbind(), strict=True))
    return TorchTrainer("torch.nn", module, cross_entropy, batches)
