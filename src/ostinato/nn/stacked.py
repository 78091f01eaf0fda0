"""Layers with an axis P before everything: P layers of one shape as one. B batch, T steps."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import Embedding, Linear, Module, Parameter

from ..errors import DefinitionError, ShapeError
from .embedding import OneHotEmbedding, look_up
from .recurrent import Recurrent


class StackedEmbedding(Module):
    """P embeddings: ids [P, ...], or [1, ...] for all of them, to vectors [P, ..., M]; `weight` is [P, N, M]."""

    def __init__(self, members: Sequence[Embedding]) -> None:
        super().__init__()
        first = members[0]
        if first.max_norm or first.sparse or first.scale_grad_by_freq:
            raise DefinitionError("an Embedding with max_norm, sparse or scale_grad_by_freq cannot be in a population")
        self.padding_idx = first.padding_idx
        self.weight = stack(m.weight for m in members)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.weight.shape))

    def forward(self, ids: Tensor) -> Tensor:
        return look_up(self.weight, ids, self.padding_idx)


class StackedLinear(Module):
    """P linear layers: [P, ..., M], or [1, ..., M] for all of them, to [P, ..., N]; `weight` is [P, N, M]."""

    def __init__(self, members: Sequence[Linear]) -> None:
        super().__init__()
        self.weight = stack(m.weight for m in members)
        self.bias = None if members[0].bias is None else stack(m.bias for m in members)

    def extra_repr(self) -> str:
        members, outputs, inputs = self.weight.shape
        return f"{members}, {inputs}, {outputs}"

    def forward(self, x: Tensor) -> Tensor:
        members, outputs, inputs = self.weight.shape
        if x.dim() < 3 or x.shape[0] not in (1, members) or x.shape[-1] != inputs:
            raise ShapeError(
                f"input is {list(x.shape)}; for a population of {members} it must be [{members}, ..., {inputs}], or "
                f"[1, ..., {inputs}] for all of them"
            )
        rows = x.flatten(1, -2).expand(members, -1, -1)
        columns = self.weight.mT
        product = rows @ columns if self.bias is None else torch.baddbmm(self.bias.unsqueeze(1), rows, columns)
        return product.view(members, *x.shape[1:-1], outputs)


def stack(tensors: Iterable[Tensor]) -> Parameter:
    """One parameter [P, ...] of P of them; it learns if they do."""
    tensors = list(tensors)
    return Parameter(torch.stack([t.detach() for t in tensors]), requires_grad=tensors[0].requires_grad)


def stacked(members: Sequence[Module]) -> Module:
    """The members as one module with the names of one of them, every parameter with a leading axis P.

    Raises:
        DefinitionError: a layer with parameters that is neither an Embedding, a Linear nor a Recurrent layer.
    """
    first = members[0]
    if isinstance(first, Recurrent):
        return _stacked_recurrent([m for m in members if isinstance(m, Recurrent)])
    if type(first) in (Embedding, OneHotEmbedding):
        return StackedEmbedding([m for m in members if isinstance(m, Embedding)])
    if type(first) is Linear:
        return StackedLinear([m for m in members if isinstance(m, Linear)])
    own = [name for name, _ in (*first.named_parameters(recurse=False), *first.named_buffers(recurse=False))]
    if own:
        raise DefinitionError(
            f"a {type(first).__name__} has {own[0]!r} of its own and cannot be in a population: parameters belong in "
            "Embedding, Linear and the recurrent layers of ostinato.nn"
        )
    result = copy.deepcopy(first)
    for name, _ in first.named_children():
        setattr(result, name, stacked([m.get_submodule(name) for m in members]))
    return result


def _stacked_recurrent(members: Sequence[Recurrent]) -> Recurrent:
    result = copy.deepcopy(members[0])
    for name, _ in members[0].named_parameters():
        setattr(result, name, stack(getattr(m, name) for m in members))
    result.population = len(members)
    return result
