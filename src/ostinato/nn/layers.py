"""The recurrent layers of torch.nn by name: its arguments in its order, its state_dict, any backend."""

from __future__ import annotations

import torch

from .recurrent import Bias, Recurrent


class SRN(Recurrent):
    """Simple recurrent network, `h_t = f(W x_t + b_ih + U h_{t-1} + b_hh)`; torch.nn.RNN's arguments.

    Args:
        nonlinearity: f, "tanh" or "relu".
        others: see `Recurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: Bias = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        cells = {"tanh": "srn", "relu": "srn_relu"}
        if nonlinearity not in cells:
            raise ValueError(f"Unknown nonlinearity {nonlinearity!r}. Select from 'tanh' or 'relu'.")
        super().__init__(
            cells[nonlinearity],
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            backend=backend,
            device=device,
            dtype=dtype,
        )
        self.nonlinearity = nonlinearity


#: torch.nn's name for the simple recurrent network.
RNN = SRN


class LSTM(Recurrent):
    """Long short-term memory; torch.nn.LSTM's arguments. The state is a tuple (h, c).

    Args:
        proj_size: 0; torch.nn.LSTM's projection of h is not supported.
        others: see `Recurrent`.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: Bias = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if proj_size:
            raise ValueError(f"proj_size must be 0, not {proj_size}: a projection of the output is not supported")
        super().__init__(
            "lstm",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            backend=backend,
            device=device,
            dtype=dtype,
        )


class GRU(Recurrent):
    """Gated recurrent unit, the reset gate after the product; torch.nn.GRU's arguments, for which see `Recurrent`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: Bias = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        backend: str = "auto",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            "gru",
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            dropout,
            bidirectional,
            backend=backend,
            device=device,
            dtype=dtype,
        )
