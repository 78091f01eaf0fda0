"""Populations: P networks of one architecture as one program. B batch, T steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from ..errors import DefinitionError
from .recurrent import Recurrent
from .stacked import stacked


class Population(Module):
    """P networks of one architecture, run and trained as one, none of which knows of the others.

    Every parameter has a leading axis P and the name it has in a member, after `network.`. What a member takes and
    gives has that axis too: inputs are [P, ...], or [1, ...] where all members share them, which costs no copy. A
    `SequenceClassifier` then gives logits [P, B, C] of tokens [P or 1, B, T]; a `Recurrent` layer takes
    [P or 1, T, B, M] and states [P, L*N, B, D], and lengths are [B] or [P, B].

    Members may differ in their weights, and in nothing else that they are made of; dropout draws one mask for all of
    them, so with dropout a member does not see the noise it would see alone.

    Args:
        members: the networks; embeddings, linear and recurrent layers in any containers whose `forward` treats a
            leading axis like a batch. Their parameters are copied.

    Raises:
        DefinitionError: no members, members that differ in more than their numbers, tied parameters, or a layer that
            has no form for a population.
    """

    def __init__(self, members: Sequence[Module]) -> None:
        super().__init__()
        _check(members)
        # In a tuple, so that it is no submodule: what a member is, to make one again.
        self._template = (copy.deepcopy(members[0]),)
        self.network = stacked(members)

    @classmethod
    def build(
        cls, make: Callable[[], Module], seeds: Sequence[int], scales: Sequence[float] | None = None
    ) -> Population:
        """A member a seed: what `torch.manual_seed(seed); make()` gives, to the bit. torch's own seed is left alone.

        Args:
            scales: by how much the starting parameters of each member are multiplied.
        """
        if scales is not None and len(scales) != len(seeds):
            raise DefinitionError(f"there are {len(scales)} scales for {len(seeds)} seeds; every member has one")
        members = []
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            for i, seed in enumerate(seeds):
                torch.manual_seed(seed)
                members.append(make())
                if scales is not None:
                    for parameter in members[-1].parameters():
                        parameter.mul_(scales[i])
        return cls(members)

    def __len__(self) -> int:
        return len(next(self.network.parameters()))

    def forward(self, *inputs: Any, **options: Any) -> Any:
        """What the members make of their inputs."""
        return self.network(*inputs, **options)

    def member(self, index: int) -> Module:
        """A copy of member `index` as the ordinary module it would be alone."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no member {index} in a population of {len(self)}")
        module = copy.deepcopy(self._template[0])
        module.load_state_dict({name: tensor[index] for name, tensor in self.network.state_dict().items()})
        return module.train(self.training)

    def keep(self, indices: Sequence[int]) -> None:
        """Let all members but these go, in place; the parameters stay the same objects. Gradients are dropped."""
        self.assign({name: parameter.detach()[list(indices)] for name, parameter in self.named_parameters()})

    def assign(self, parameters: dict[str, Tensor]) -> None:
        """Put other numbers in the place of all parameters, for as many members as there are in these."""
        for name, parameter in self.named_parameters():
            parameter.data = parameters[name].clone()
            parameter.grad = None
        for module in self.modules():
            if isinstance(module, Recurrent):
                module.population = len(self)


def _check(members: Sequence[Module]) -> None:
    if not members:
        raise DefinitionError("a population has at least one member")
    first = members[0]
    described = _description(first)
    for i, member in enumerate(members):
        other = _description(member)
        if other != described:
            what = next((a for a, b in zip(other, described, strict=False) if a != b), "it has other parts")
            raise DefinitionError(f"member {i} is not built like member 0: {what}")
    names: dict[int, str] = {}
    for name, parameter in first.named_parameters(remove_duplicate=False):
        if id(parameter) in names:
            raise DefinitionError(f"{names[id(parameter)]} and {name} are one parameter: a population cannot tie them")
        names[id(parameter)] = name
    if not names:
        raise DefinitionError(f"a {type(first).__name__} has no parameters: there is nothing to make a population of")


def _description(module: Module) -> list[str]:
    """What must be equal: every part with its arguments, every parameter with its shape and kind."""
    parts = [f"{name or 'the network'} is {type(m).__name__}({m.extra_repr()})" for name, m in module.named_modules()]
    tensors = module.state_dict().items()
    return parts + [f"{name} is {list(t.shape)} {t.dtype} on {t.device}" for name, t in tensors]
