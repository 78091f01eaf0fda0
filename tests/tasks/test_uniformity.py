"""What a task draws is drawn evenly: symbols, places, words."""

import torch
from scipy.stats import chisquare, kstest

from ostinato.tasks import IGNORED, TASKS


def even(ids, possible):
    """Is each of the `possible` ids there, and equally often?"""
    counts = torch.bincount(torch.as_tensor(ids).flatten(), minlength=possible)
    assert len(counts) == possible
    assert counts.all()
    assert chisquare(counts.numpy()).pvalue > 1e-3


def test_digit_sum():
    inputs, _ = TASKS["digit-sum-fresh"].sample(7, 20_000, (0,))
    even(10 * inputs[:, 0] + inputs[:, 1], 100)
    rows, places = inputs[:, 2:].nonzero(as_tuple=True)
    even(9 * places + inputs[rows, 2 + places] - 1, 5 * 9)
    assert abs(len(rows) / 20_000 - 0.9) < 0.01  # the stray digit may be a 0


def test_copy():
    inputs, _ = TASKS["copy"].sample(5, 5000, (0,))
    even(8 * torch.arange(10) + inputs[:, :10], 80)
    even(64 * inputs[:, 0] + 8 * inputs[:, 1] + inputs[:, 9], 512)


def test_adding():
    inputs, _ = TASKS["adding"].sample(9, 10_000, (0,))
    first, second = inputs[:, :4, 1].argmax(dim=1), inputs[:, 4:, 1].argmax(dim=1)
    even(5 * first + second, 20)
    for step in range(9):
        assert kstest(inputs[:, step, 0].numpy(), "uniform").pvalue > 1e-3


def test_recall():
    inputs, _ = TASKS["recall"].sample(5, 10_000, (0,))
    even(8 * inputs[:, 0] + inputs[:, 1] - 8, 64)
    even(8 * torch.arange(3) + inputs[:, 1:4] - 8, 24)


def test_parity():
    inputs, _ = TASKS["parity"].sample(6, 10_000, (0,))
    even(inputs @ 2 ** torch.arange(6), 64)


def test_dyck2():
    """The words of length 6: five shapes, and three pairs of one of two kinds each."""
    inputs, _ = TASKS["dyck2"].sample(6, 20_000, (0,))
    _, numbers = inputs.unique(dim=0, return_inverse=True)
    even(numbers, 5 * 2**3)


def test_mqar():
    inputs, targets = TASKS["mqar"].sample(14, 20_000, (0,))
    keys, values = inputs[:, 0:8:2] - 8, inputs[:, 1:8:2]
    even(8 * torch.arange(4) + keys, 32)
    even(8 * keys + values, 64)
    queried = targets[:, 8:] != IGNORED
    even(queried.nonzero()[:, 1], 6)
    order = torch.stack([(inputs[:, 8:] == inputs[:, [k]]).int().argmax(dim=1) for k in (0, 2, 4, 6)], dim=1)
    _, numbers = order.unique(dim=0, return_inverse=True)
    even(numbers, 6 * 5 * 4 * 3)


def test_selective_copy():
    inputs, targets = TASKS["selective-copy"].sample(6, 20_000, (0,))
    _, numbers = (inputs[:, :6] == 8).unique(dim=0, return_inverse=True)
    even(numbers, 15)  # ways to choose 4 places of 6
    even(8 * torch.arange(4) + targets[:, 6:], 32)
