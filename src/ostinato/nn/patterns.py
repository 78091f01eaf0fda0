"""Models in the patterns that recurrent networks are used in. B batch, T steps."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import Embedding, Linear, Module

from ..cell import Cell
from ..errors import ShapeError
from .recurrent import Bias, Lengths, Recurrent
from .stacked import StackedEmbedding


class SequenceClassifier(Module):
    """A sequence of ids to one of `num_classes`: embedding, recurrent layers, one vector, a linear layer.

    Args:
        num_embeddings: ids go from 0 to `num_embeddings` - 1; None: the input is vectors of `embedding_dim` already.
        num_classes: C, the classes; of a regression, the numbers.
        pooling: the one vector is the "last" state (of both directions, if there are two) or the "mean" of the outputs.
        padding_idx: an id whose vector is zero and stays so.
        others: see `Recurrent`.
    """

    def __init__(
        self,
        num_embeddings: int | None,
        num_classes: int,
        *,
        cell: Cell | str = "lstm",
        embedding_dim: int = 32,
        hidden_size: int = 32,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        bias: Bias = True,
        pooling: Literal["last", "mean"] = "last",
        padding_idx: int | None = None,
        backend: str = "auto",
    ) -> None:
        super().__init__()
        if pooling not in ("last", "mean"):
            raise ValueError(f"pooling is {pooling!r}; it must be 'last' or 'mean'")
        self.pooling = pooling
        self.embedding = None if num_embeddings is None else Embedding(num_embeddings, embedding_dim, padding_idx)
        self.recurrent = Recurrent(
            cell,
            embedding_dim,
            hidden_size,
            num_layers,
            bias,
            dropout=dropout,
            bidirectional=bidirectional,
            backend=backend,
        )
        self.linear = Linear(hidden_size * (2 if bidirectional else 1), num_classes)

    def extra_repr(self) -> str:
        return f"pooling={self.pooling}"

    def forward(self, tokens: Tensor, lengths: Lengths | None = None) -> Tensor:
        """Logits [B, C] of ids [B, T] int64 (or vectors [B, T, M]), of which the first `lengths` [B] count, or all.

        In a `Population` each has an axis P before the others: [P, B, C] of [P or 1, B, T].

        Raises:
            ShapeError: shapes that do not fit, or a length outside 0 to T.
        """
        output, state = self._run(tokens, lengths)
        if self.pooling == "mean":
            return self.linear(_mean(output, lengths))
        h = state[0] if isinstance(state, tuple) else state
        if self.recurrent.bidirectional:
            return self.linear(torch.cat((h[..., -2, :, :], h[..., -1, :, :]), dim=-1))
        return self.linear(h[..., -1, :, :])

    def _run(self, tokens: Tensor, lengths: Lengths | None) -> tuple[Tensor, Tensor | tuple[Tensor, ...]]:
        """Embedding and recurrent layers: output [T, B, D] and final states."""
        if self.embedding is None:
            axes, time_major = "B, T, M", tokens.transpose(-3, -2) if tokens.dim() > 2 else tokens
        else:
            axes, time_major = "B, T", tokens.mT if tokens.dim() > 1 else tokens
        if tokens.dim() != len(axes.split(", ")) + (self.recurrent.population is not None):
            lead = "" if self.recurrent.population is None else "P, "
            raise ShapeError(f"tokens is {list(tokens.shape)}; it must be [{lead}{axes}]")
        if self.embedding is None:
            return self.recurrent(time_major, lengths=lengths)
        if _is_table(self.embedding):
            return self.recurrent(time_major, lengths=lengths, table=self.embedding.weight)
        return self.recurrent(self.embedding(time_major), lengths=lengths)


class SequenceTagger(SequenceClassifier):
    """A sequence of ids to a class at every step: a `SequenceClassifier` whose linear layer looks at each step.

    There is no pooling, and with two directions a step sees both sides of itself.
    """

    def forward(self, tokens: Tensor, lengths: Lengths | None = None) -> Tensor:
        """Logits [B, T, C] of ids [B, T] int64 (or vectors [B, T, M]); those past a length mean nothing.

        In a `Population`, [P, B, T, C] of [P or 1, B, T].
        """
        output, _ = self._run(tokens, lengths)
        return self.linear(output.transpose(-3, -2))


def _is_table(embedding: Module) -> bool:
    """Whether an embedding does nothing but look up, and nobody listens to what it finds."""
    if type(embedding) not in (Embedding, StackedEmbedding) or embedding.padding_idx is not None:
        return False
    if type(embedding) is Embedding and (embedding.max_norm or embedding.sparse or embedding.scale_grad_by_freq):
        return False
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return not any(getattr(embedding, name) for name in hooks)


def _mean(output: Tensor, lengths: Lengths | None) -> Tensor:
    """`masked_mean` of [T, B, D] without its mask: a recurrent layer leaves zeros past a length."""
    if lengths is None:
        return output.sum(dim=-3) / max(output.shape[-3], 1)
    return output.sum(dim=-3) / torch.as_tensor(lengths, device=output.device).clamp(min=1).unsqueeze(-1)
