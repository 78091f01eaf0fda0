"""A cell that the library does not have, as a user defines it, and the same cell as a loop of eager PyTorch."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ostinato.cell import cell
from ostinato.expr import sigmoid, tanh


@cell(gates="i f g o", state="h c")
def bounded(i, f, g, o, h, c):
    """An LSTM that writes only where it forgets, so that its memory stays within ±1."""
    keep = sigmoid(f)
    c = keep * c + (1 - keep) * sigmoid(i) * tanh(g)
    return sigmoid(o) * tanh(c), c


class EagerBounded(nn.Module):
    """`bounded` written by hand: at every step, two products a gate, one for x and one for h.

    Args:
        weights: of the layer `ostinato.nn.Recurrent(bounded, ..., bias="single")`.
    """

    def __init__(self, weights: dict[str, Tensor]) -> None:
        super().__init__()
        self.W, self.U, self.b = (
            nn.ParameterList(part.clone() for part in weights[name].chunk(4))
            for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0")
        )

    def forward(self, x: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        (W_i, W_f, W_g, W_o), (U_i, U_f, U_g, U_o), (b_i, b_f, b_g, b_o) = self.W, self.U, self.b
        h = c = x.new_zeros(x.shape[1], len(b_i))
        outputs = []
        for x_t in x:
            i = torch.sigmoid(x_t @ W_i.T + h @ U_i.T + b_i)
            f = torch.sigmoid(x_t @ W_f.T + h @ U_f.T + b_f)
            g = torch.tanh(x_t @ W_g.T + h @ U_g.T + b_g)
            o = torch.sigmoid(x_t @ W_o.T + h @ U_o.T + b_o)
            c = f * c + (1 - f) * i * g
            h = o * torch.tanh(c)
            outputs.append(h)
        return torch.stack(outputs), (h.unsqueeze(0), c.unsqueeze(0))

    def gradients(self) -> dict[str, Tensor]:
        """Those of the layer's parameters, by the names that they have there."""
        parts = {"weight_ih_l0": self.W, "weight_hh_l0": self.U, "bias_ih_l0": self.b}
        return {name: torch.cat([p.grad for p in parameters]) for name, parameters in parts.items()}
