from __future__ import annotations

import pytest
import torch

from ostinato.nn import Embedding, OneHotEmbedding


@pytest.mark.parametrize("padding_idx", [None, 0, -1])
def test_the_two_ways_are_equal(close, padding_idx):
    look_up = Embedding(10, 4, padding_idx)
    product = OneHotEmbedding(10, 4, padding_idx)
    product.load_state_dict(look_up.state_dict(), strict=True)
    ids = torch.tensor([[0, 3, 9], [3, 0, 1]])
    cotangent = torch.randn(2, 3, 4)
    close(product(ids), look_up(ids))
    gradients = [torch.autograd.grad(layer(ids), layer.weight, cotangent)[0] for layer in (product, look_up)]
    close(*gradients)
    assert gradients[1][3].any()
    assert bool(gradients[1][0].any()) == (padding_idx != 0)


def test_same_seed_gives_the_same_table():
    torch.manual_seed(3)
    look_up = Embedding(10, 4, padding_idx=2)
    torch.manual_seed(3)
    assert torch.equal(OneHotEmbedding(10, 4, padding_idx=2).weight, look_up.weight)


def test_an_id_outside_the_table_is_refused():
    for layer in (Embedding(10, 4), OneHotEmbedding(10, 4)):
        with pytest.raises((IndexError, RuntimeError)):
            layer(torch.tensor([10]))
