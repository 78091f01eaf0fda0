"""Populations: P networks of one architecture as one program. B batch, T steps."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from ..errors import DefinitionError, ShapeError
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
        stacked = self.network.state_dict()
        module.load_state_dict({name: tensor[index].clone() for name, tensor in stacked.items()}, assign=True)
        for name, parameter in self.network.named_parameters():
            module.get_parameter(name).requires_grad_(parameter.requires_grad)
        return module.train(self.training)

    def keep(self, indices: Sequence[int]) -> None:
        """Let all members but these go, in place; the parameters stay the same objects. Gradients are dropped."""
        self.assign({name: parameter.detach()[list(indices)] for name, parameter in self.named_parameters()})

    def assign(self, parameters: dict[str, Tensor]) -> None:
        """Put other numbers in the place of all parameters, for as many members as there are in these.

        Raises:
            ShapeError: one that is missing, or not of the shape that a member has.
        """
        for name, parameter in self.named_parameters():
            if name not in parameters or parameters[name].shape[1:] != parameter.shape[1:]:
                there = list(parameters[name].shape) if name in parameters else "missing"
                raise ShapeError(f"{name} is {there}; it must be [P, {', '.join(map(str, parameter.shape[1:]))}]")
        for name, parameter in self.named_parameters():
            parameter.data = parameters[name].to(parameter, copy=True)
            parameter.grad = None
        for module in self.modules():
            if isinstance(module, Recurrent):
                module.population = len(self)

    def extra_repr(self) -> str:
        return f"members={len(self)}"


def _check(members: Sequence[Module]) -> None:
    if not members:
        raise DefinitionError("a population has at least one member")
    first = members[0]
    described = _description(first)
    for i, member in enumerate(members):
        for (what, value), (_, other) in itertools.zip_longest(_description(member), described, fillvalue=("", None)):
            if value != other:
                raise DefinitionError(f"member {i} is not built like member 0: {what or 'a part is missing'}")
    names: dict[int, str] = {}
    for name, parameter in first.named_parameters(remove_duplicate=False):
        if id(parameter) in names:
            raise DefinitionError(f"{names[id(parameter)]} and {name} are one parameter: a population cannot tie them")
        names[id(parameter)] = name
    if not names:
        raise DefinitionError(f"a {type(first).__name__} has no parameters: there is nothing to make a population of")


def _description(module: Module) -> list[tuple[str, object]]:
    """What must be equal, each with its words: every part with its arguments, every parameter with its kind."""
    described: list[tuple[str, object]] = []
    for name, part in module.named_modules():
        words = f"{name or 'the network'} is {type(part).__name__}({part.extra_repr()})"
        described.append((words, words))
        if isinstance(part, Recurrent):
            described.append((f"{words} of another cell called '{part.cell}'", part.cell))
            described.append((f"{words} on backend '{part.backend}'", part.backend))
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        words = f"{name} is {list(tensor.shape)} {tensor.dtype} on {tensor.device}, gradient {tensor.requires_grad}"
        described.append((words, words))
    return described
