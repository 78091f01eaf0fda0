"""The weights of a scan as the kernels want them, and their gradients as the caller wants them."""

from __future__ import annotations

import torch
from torch import Tensor

from .contract import Weights
from .plan import Plan


class Parameters:
    """Weights with their gates in the order of the slots, and a diagonal recurrence as vectors."""

    def __init__(self, plan: Plan, weights: Weights) -> None:
        blocks = plan.blocks
        bias_ih, bias_hh = weights.bias_ih, weights.bias_hh
        vectors = list(weights.vectors)
        if blocks.diagonal:
            assert weights.weight_hh is not None
            vectors += self._gates(plan, weights.weight_hh).unbind(1)
            bias_ih, bias_hh = self._diagonal_bias(plan, bias_ih, bias_hh), None
        dense = weights.weight_hh if blocks.from_h else None
        self.weight_ih = self._reorder(plan, weights.weight_ih, blocks.order_x)
        self.weight_hh = self._reorder(plan, dense, blocks.order_h)
        self.bias_ih = self._reorder(plan, bias_ih, blocks.order_x)
        self.bias_hh = self._reorder(plan, bias_hh, blocks.order_h)
        shape = (plan.sizes.population, plan.sizes.units)
        self.vectors = torch.stack([v.view(shape) for v in vectors], 1) if vectors else None  # [P, vectors, D]

    @staticmethod
    def _gates(plan: Plan, rows: Tensor) -> Tensor:
        """[(P,) G*D, ...] -> [P, G, D * ...]."""
        sizes = plan.sizes
        width = sizes.units * (rows.shape[-1] if rows.dim() == (2 if plan.single else 3) else 1)
        return rows.reshape(sizes.population, -1, width)

    def _reorder(self, plan: Plan, rows: Tensor | None, order: list[int] | None) -> Tensor | None:
        if rows is None or order is None:
            return None if rows is None else rows.contiguous()
        return self._gates(plan, rows)[:, order]

    def _diagonal_bias(self, plan: Plan, bias_ih: Tensor | None, bias_hh: Tensor | None) -> Tensor | None:
        """With a diagonal recurrence both biases add up before the kernel sees them."""
        if bias_hh is None:
            return bias_ih
        sizes = plan.sizes
        total = bias_hh.new_zeros(sizes.population, plan.blocks.from_x, sizes.units)
        total[:, plan.blocks.diagonal] = self._gates(plan, bias_hh)
        return total if bias_ih is None else total + self._gates(plan, bias_ih)

    def arguments(self) -> dict[str, int]:
        """Where both kernels find what they need; 0 for what there is not."""
        return {
            "weight_ih": address(self.weight_ih),
            "weight_hh": address(self.weight_hh),
            "vectors": address(self.vectors),
        }


def address(tensor: Tensor | None) -> int:
    """Where a tensor lies; 0 if there is none."""
    return 0 if tensor is None else tensor.data_ptr()


def restore(rows: Tensor, order: list[int] | None) -> Tensor:
    """[P, G, ...] with its gates in the order of the slots -> in the order of the weights."""
    if order is None:
        return rows
    return rows[:, [order.index(k) for k in range(len(order))]]
