from __future__ import annotations

import math

import pytest
import torch

from ostinato.cells import CELLS
from ostinato.errors import ShapeError
from ostinato.nn import LSTM, Recurrent, SequenceClassifier, last_state, masked_mean, xavier_initialise

POOLINGS = pytest.mark.parametrize("pooling", ["last", "mean"])


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@POOLINGS
def test_logits_by_hand(close, cell, bidirectional, pooling):
    model = SequenceClassifier(
        10, 19, cell=cell, embedding_dim=3, hidden_size=4, num_layers=2, bidirectional=bidirectional, pooling=pooling
    )
    tokens, lengths = torch.randint(10, (3, 6)), [6, 1, 4]
    logits = model(tokens, lengths)
    assert logits.shape == (3, 19)
    output, _ = model.recurrent(model.embedding(tokens).transpose(0, 1), lengths=lengths)
    output = output.transpose(0, 1)
    if pooling == "mean":
        pooled = masked_mean(output, lengths)
    else:  # the backward direction ends at the first step
        pooled = torch.cat((last_state(output[:, :, :4], lengths), output[:, 0, 4:]), dim=-1)
    close(logits, model.linear(pooled))


@POOLINGS
def test_padding_changes_nothing(close, pooling):
    model = SequenceClassifier(10, 2, bidirectional=True, pooling=pooling, padding_idx=0)
    tokens = torch.randint(1, 10, (3, 6))
    padded = torch.cat((tokens, torch.randint(10, (3, 4))), dim=1)
    close(model(padded, [6, 6, 6]), model(tokens))
    close(model(padded, torch.tensor([6, 3, 6]))[1], model(tokens[1:2, :3])[0])


@POOLINGS
def test_an_empty_sequence_gives_the_bias(close, pooling):
    model = SequenceClassifier(10, 2, pooling=pooling)
    close(model(torch.randint(10, (2, 4)), [0, 3])[0], model.linear.bias)


@POOLINGS
def test_every_parameter_learns(pooling):
    model = SequenceClassifier(10, 2, cell="peephole_lstm", num_layers=2, bidirectional=True, pooling=pooling)
    model(torch.arange(10).view(2, 5)).square().sum().backward()
    assert all(p.grad.any() for p in model.parameters())


def test_refused():
    with pytest.raises(ValueError, match="pooling is 'max'; it must be 'last' or 'mean'"):
        SequenceClassifier(10, 2, pooling="max")
    with pytest.raises(ShapeError, match=r"tokens is \[4\]; it must be \[B, T\]"):
        SequenceClassifier(10, 2)(torch.zeros(4, dtype=torch.int64))


def test_xavier_is_within_its_bound_for_every_gate():
    model = xavier_initialise(SequenceClassifier(50, 19, embedding_dim=20, hidden_size=30, padding_idx=0))
    bounds = {
        "embedding.weight": math.sqrt(6 / (50 + 20)),
        "recurrent.weight_ih_l0": math.sqrt(6 / (20 + 30)),
        "recurrent.weight_hh_l0": math.sqrt(6 / (30 + 30)),
        "linear.weight": math.sqrt(6 / (30 + 19)),
    }
    for name, parameter in model.named_parameters():
        if "bias" in name:
            assert not parameter.any()
        else:
            for block in parameter.split(30):
                assert 0.9 * bounds[name] < block.abs().max() <= bounds[name]
                assert abs(block.mean()) < 0.1 * bounds[name]
    assert not model.embedding.weight[0].any()
    assert all(p.requires_grad and p.is_leaf for p in model.parameters())


def test_xavier_leaves_vectors_as_they_are():
    peepholes, diagonal = Recurrent("peephole_lstm", 3, 4), Recurrent("indrnn", 3, 4)
    before = peepholes.w_ci_l0.clone(), diagonal.weight_hh_l0.clone()
    for layer in (peepholes, diagonal):
        assert xavier_initialise(layer) is layer
    assert torch.equal(peepholes.w_ci_l0, before[0])
    assert torch.equal(diagonal.weight_hh_l0, before[1])


def test_xavier_depends_on_the_seed_alone():
    first, second = LSTM(3, 4), LSTM(3, 4)
    for layer in (first, second):
        torch.manual_seed(5)
        xavier_initialise(layer)
    assert torch.equal(first.weight_hh_l0, second.weight_hh_l0)
    assert not torch.equal(first.weight_hh_l0[:4], first.weight_hh_l0[4:8])
