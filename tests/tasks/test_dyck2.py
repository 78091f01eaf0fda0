"""Dyck-2: what is special about it."""

import math

import pytest
import torch
from scipy.stats import chisquare

from ostinato.errors import DataError
from ostinato.tasks import Dyck2


def words(length):
    """How many balanced words of one kind of bracket there are, by the depth that they have after a number of steps."""
    counts = [[0] * (length + 2) for _ in range(length + 1)]
    counts[0][0] = 1
    for step in range(length):
        for depth in range(length + 1):
            counts[step + 1][depth] = counts[step][depth + 1] + (counts[step][depth - 1] if depth else 0)
    return counts


@pytest.mark.parametrize("length", [2, 4, 6, 10, 20, 80])
def test_chance_is_exact(length):
    """A word that is at depth 0 after a number of steps is two words, one after the other."""
    ends = [count[0] for count in words(length)]
    returns = sum(ends[step] * ends[length - step] for step in range(1, length + 1))
    assert ends[length] == math.comb(length, length // 2) // (length // 2 + 1)
    nothing = returns / ends[length] / length
    assert Dyck2().chance(length) == pytest.approx(max(nothing, (1 - nothing) / 2))


def test_the_depth_half_way():
    """Every word is equally likely: of those of 40 brackets, as many are at a depth after 20 as can be counted."""
    inputs, _ = Dyck2().sample(40, 50_000, (0,))
    depths = torch.where(inputs[:, :20] < 2, 1, -1).sum(dim=1)
    expected = torch.tensor([count**2 for count in words(20)[20]], dtype=torch.float64)[: depths.max() + 1]
    observed = depths.bincount()[expected > 0]
    assert chisquare(observed.numpy(), (expected / expected.sum() * len(depths))[expected > 0].numpy()).pvalue > 1e-3


def test_an_answer_from_the_last_bracket_alone_is_not_enough():
    """The best that a network without memory can do, for every length that an experiment runs."""
    for length in Dyck2.lengths:
        inputs, targets = Dyck2().sample(length, 5000, (0,))
        best = sum((targets[inputs == bracket]).bincount().max().item() for bracket in range(4))
        assert 0.65 < best / targets.numel() < 0.8 < Dyck2.threshold


def test_an_odd_length_is_refused():
    with pytest.raises(DataError, match=r"length 7 is odd, .* it must be even"):
        Dyck2().sample(7, 1, (0,))
