"""Starting values of the parameters, where the default of a layer is not what is wanted."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch.nn import Embedding, Linear, Module
from torch.nn.init import xavier_uniform_, zeros_

from .recurrent import Recurrent

AnyModule = TypeVar("AnyModule", bound=Module)


def xavier_initialise(model: AnyModule) -> AnyModule:
    """Redraw every embedding, recurrent and linear layer within `model`: Xavier-uniform weights, zero biases.

    Glorot & Bengio, AISTATS 2010: uniform in ±sqrt(6 / (fan_in + fan_out)). The gates of a recurrent layer are
    separate matrices here, each from M (or D) inputs to D units. The rule says nothing of vectors, so a diagonal
    recurrence and the extra vectors of a cell keep their values, and a padding row stays zero.

    Returns:
        The same model, changed in place.
    """
    for module in model.modules():
        if isinstance(module, Embedding):
            xavier_uniform_(module.weight)
            if module.padding_idx is not None:
                zeros_(module.weight[module.padding_idx])
        elif isinstance(module, Linear):
            xavier_uniform_(module.weight)
            if module.bias is not None:
                zeros_(module.bias)
        elif isinstance(module, Recurrent):
            _initialise_recurrent(module)
    return model


def _initialise_recurrent(layer: Recurrent) -> None:
    for name, parameter in layer.named_parameters():
        if name.startswith("bias_"):
            zeros_(parameter)
        elif parameter.dim() == 2:
            with torch.no_grad():
                for gate in parameter.split(layer.hidden_size):
                    xavier_uniform_(gate)
