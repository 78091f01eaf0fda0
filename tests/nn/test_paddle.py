"""The same layers in Paddle, whose gates come in our order: LSTM i f g o; GRU r z n with the reset after the product.

Backward in time, with lengths and a given initial state, Paddle 3.3.1 (CPU) gets the gradient of `weight_hh` wrong, and
for the GRU all of them: there the comparison starts from zeros. torch.nn is compared with initial states throughout.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch

import ostinato.nn as ours

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Paddle warns of a missing ccache when it is imported
    paddle = pytest.importorskip("paddle")

LAYERS = {
    "lstm": ("LSTM", ours.LSTM, {}),
    "gru": ("GRU", ours.GRU, {}),
    "tanh": ("SimpleRNN", ours.SRN, {}),
    "relu": ("SimpleRNN", ours.SRN, {"nonlinearity": "relu"}),
}


def as_tuple(state) -> tuple:
    return tuple(state) if isinstance(state, tuple | list) else (state,)


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("lengths", [None, [6, 2, 4, 1]], ids=["padded", "lengths"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.filterwarnings("ignore")
def test_equal(close, kind, num_layers, bidirectional, lengths, backend):
    paddle_class, ours_class, extra = LAYERS[kind]
    layer = ours_class(3, 5, num_layers, batch_first=True, bidirectional=bidirectional, backend=backend, **extra)
    theirs = getattr(paddle.nn, paddle_class)(
        3,
        5,
        num_layers=num_layers,
        direction="bidirect" if bidirectional else "forward",
        **({"activation": extra["nonlinearity"]} if extra else {}),
    )
    theirs.set_state_dict({n: paddle.to_tensor(p.detach().numpy()) for n, p in layer.named_parameters()})

    x = np.random.default_rng(0).standard_normal((4, 6, 3), dtype=np.float32)
    states = [torch.randn(num_layers * (1 + bidirectional), 4, 5) for _ in layer.cell.states]
    if bidirectional and lengths:
        states = [torch.zeros_like(s) for s in states]
    cotangents = [torch.randn(4, 6, 5 * (1 + bidirectional)), *(torch.randn_like(s) for s in states)]

    ours_x = torch.from_numpy(x).requires_grad_()
    output, final = layer(ours_x, tuple(states) if len(states) > 1 else states[0], lengths=lengths)
    results = (output, *as_tuple(final))
    gradients = torch.autograd.grad(results, [ours_x, *layer.parameters()], cotangents)

    theirs_x = paddle.to_tensor(x, stop_gradient=False)
    theirs_states = tuple(paddle.to_tensor(s.numpy()) for s in states)
    output, final = theirs(
        theirs_x,
        theirs_states if len(states) > 1 else theirs_states[0],
        sequence_length=None if lengths is None else paddle.to_tensor(lengths),
    )
    expected = (output, *as_tuple(final))
    loss = sum((r * paddle.to_tensor(c.numpy())).sum() for r, c in zip(expected, cotangents, strict=True))
    loss.backward()
    named = dict(theirs.named_parameters())
    expected_gradients = [theirs_x.grad, *(named[n].grad for n, _ in layer.named_parameters())]

    close(results, tuple(torch.from_numpy(r.numpy()) for r in expected))
    close(gradients, tuple(torch.from_numpy(g.numpy()) for g in expected_gradients))
