"""A problem that is learned in moments: which of four inputs is the largest?"""

import pytest
import torch
from torch import nn

from ostinato.train import Runner


@pytest.fixture
def examples():
    inputs = torch.randn(60, 4, generator=torch.Generator().manual_seed(1))
    return inputs, inputs.argmax(dim=1)


@pytest.fixture
def make_runner():
    def make(**options) -> Runner:
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 4))
        return Runner(model, torch.optim.Adam(model.parameters(), 0.02), **options)

    return make
