"""Models in the patterns that recurrent networks are used in. B batch, T steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.nn import Embedding, Linear, Module

from ..cell import Cell
from ..errors import ShapeError
from .recurrent import Bias, Recurrent


class SequenceClassifier(Module):
    """A sequence of ids to one of `num_classes`: embedding, recurrent layers, one vector, a linear layer.

    Args:
        num_embeddings: ids go from 0 to `num_embeddings` - 1.
        num_classes: C, the classes.
        pooling: the one vector is the "last" state (of both directions, if there are two) or the "mean" of the outputs.
        padding_idx: an id whose vector is zero and stays so.
        others: see `Recurrent`.
    """

    def __init__(
        self,
        num_embeddings: int,
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
        self.embedding = Embedding(num_embeddings, embedding_dim, padding_idx)
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

    def forward(self, tokens: Tensor, lengths: Tensor | Sequence[int] | None = None) -> Tensor:
        """Logits [B, C] of ids [B, T] int64, of which the first `lengths` [B] count (all if None).

        Raises:
            ShapeError: shapes that do not fit, or a length outside 0 to T.
        """
        if tokens.dim() != 2:
            raise ShapeError(f"tokens is {list(tokens.shape)}; it must be [B, T]")
        time_major = self.embedding(tokens.t())  # ids are transposed, being smaller than vectors
        output, state = self.recurrent(time_major, lengths=lengths)
        if self.pooling == "mean":
            return self.linear(_mean(output, lengths))
        h = state[0] if isinstance(state, tuple) else state
        return self.linear(torch.cat((h[-2], h[-1]), dim=-1) if self.recurrent.bidirectional else h[-1])


def _mean(output: Tensor, lengths: Tensor | Sequence[int] | None) -> Tensor:
    """`masked_mean` of [T, B, D] without its mask: a recurrent layer leaves zeros past a length."""
    if lengths is None:
        return output.sum(dim=0) / max(len(output), 1)
    return output.sum(dim=0) / torch.as_tensor(lengths, device=output.device).clamp(min=1).unsqueeze(1)
