from __future__ import annotations

import pytest
import torch

from ostinato.errors import ShapeError
from ostinato.nn import last_state, masked_mean

POOLINGS = {masked_mean: lambda own: own.mean(0), last_state: lambda own: own[-1]}
EVERY_POOLING = pytest.mark.parametrize("pooling", POOLINGS)


@EVERY_POOLING
@pytest.mark.parametrize("lengths", [[5, 2, 1], [0, 5, 0], [0, 0, 0]])
def test_each_sequence_is_as_if_alone(close, pooling, lengths):
    output = torch.randn(3, 5, 4, dtype=torch.float64, requires_grad=True)
    cotangent = torch.randn(3, 4, dtype=torch.float64)
    alone = [POOLINGS[pooling](output[b, :n]) if n else 0 * output[b].sum(0) for b, n in enumerate(lengths)]
    expected = torch.stack(alone)
    for given in (lengths, torch.tensor(lengths), torch.tensor(lengths, dtype=torch.int32)):
        pooled = pooling(output, given)
        close(pooled, expected)
        (gradient,) = torch.autograd.grad(pooled, output, cotangent)
        close(gradient, torch.autograd.grad(expected, output, cotangent, retain_graph=True)[0])


@EVERY_POOLING
def test_no_lengths_means_all_steps(close, pooling):
    output = torch.randn(3, 5, 4)
    close(pooling(output), pooling(output, [5, 5, 5]))


@EVERY_POOLING
def test_no_steps_and_no_sequences(pooling):
    assert torch.equal(pooling(torch.randn(2, 0, 4)), torch.zeros(2, 4))
    assert pooling(torch.randn(0, 5, 4), torch.zeros(0, dtype=torch.int64)).shape == (0, 4)


@EVERY_POOLING
def test_what_lies_past_a_length_has_no_influence(pooling):
    output = torch.randn(2, 5, 4)
    output[0, 3:] = torch.nan
    output[1] = torch.nan
    output.requires_grad_()
    pooled = pooling(output, [3, 0])
    assert not pooled.isnan().any()
    pooled.square().sum().backward()
    assert not output.grad.isnan().any()
    assert not output.grad[0, 3:].any()


@EVERY_POOLING
@pytest.mark.parametrize(
    ("message", "lengths"),
    [
        (r"lengths is \[2\] of torch.int64; for output \[3, 5, 4\] it must be \[3\] whole numbers", [1, 2]),
        (r"whole numbers", [1.0, 2.0, 3.0]),
        (r"a length is 6; lengths go from 0 to T = 5", [1, 6, 0]),
        (r"a length is -1", [1, -1, 0]),
    ],
)
def test_refused_lengths(pooling, message, lengths):
    with pytest.raises(ShapeError, match=message):
        pooling(torch.randn(3, 5, 4), lengths)


@EVERY_POOLING
def test_refused_output(pooling):
    with pytest.raises(ShapeError, match=r"output is \[3, 5\]; it must be \[B, T, D\]"):
        pooling(torch.randn(3, 5))
