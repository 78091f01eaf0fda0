"""Two ways from ids to vectors, equal in result and gradient: look the row up, or multiply by a one-hot matrix."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import Embedding
from torch.nn.functional import embedding, one_hot

from ..errors import ShapeError

__all__ = ["Embedding", "OneHotEmbedding", "look_up"]


def look_up(table: Tensor, ids: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows [..., M] of a table [N, M] by ids [...], or rows [P, ..., M] of tables [P, N, M] by ids [P or 1, ...].

    The row `padding_idx` gets no gradient.

    Raises:
        IndexError: an id that is no row of the table.
        ShapeError: the same, of several tables.
    """
    if table.dim() == 2:
        return embedding(ids, table, padding_idx)
    networks, size = table.shape[:2]
    if ids.numel() and not 0 <= int(ids.min()) <= int(ids.max()) < size:
        raise ShapeError(f"the ids are from {int(ids.min())} to {int(ids.max())}; a table has {size} rows")
    first = torch.arange(0, networks * size, size, device=ids.device).view(-1, *[1] * (ids.dim() - 1))
    vectors = embedding(ids + first, table.flatten(0, 1))
    if padding_idx is None:
        return vectors
    return torch.where((ids == padding_idx).unsqueeze(-1), vectors.detach(), vectors)


class OneHotEmbedding(Embedding):
    """The product S'E of one-hot rows S' [..., N] with the table E [N, M]: an `Embedding`, in N times the arithmetic.

    Args:
        num_embeddings: N, rows of the table.
        embedding_dim: M, features of a row.
        padding_idx: a row that starts at zero and gets no gradient.

    The state_dict is that of `Embedding`.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(num_embeddings, embedding_dim, padding_idx, device=device, dtype=dtype)

    def forward(self, input: Tensor) -> Tensor:
        """Ids [...] int64 to vectors [..., M]."""
        table = self.weight
        if self.padding_idx is not None:
            padding = torch.arange(len(table), device=table.device) == self.padding_idx
            table = torch.where(padding.unsqueeze(1), table.detach(), table)
        return one_hot(input, self.num_embeddings).to(table.dtype) @ table
