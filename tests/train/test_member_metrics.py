"""Losses, metrics, clips and batches of every member against torch's of one network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from ostinato.errors import DataError, ShapeError
from ostinato.nn import Population, SequenceTagger
from ostinato.train import (
    Epochs,
    Fresh,
    LearningRates,
    clip_member_norms,
    evaluate_members,
    member_accuracy,
    member_cross_entropy,
    member_squared_error,
    negated,
)
from ostinato.train.member_metrics import _IGNORE_INDEX as IGNORED
from tolerances import assert_same

P, B, T, C = 3, 5, 4, 6


def draw(*shape, ignored=0):
    logits, targets = torch.randn(*shape, C), torch.randint(0, C, shape)
    targets.view(P, -1)[:, :ignored] = IGNORED
    return logits, targets


@pytest.mark.parametrize(("shape", "ignored"), [((P, B), 0), ((P, B), 2), ((P, B, T), 0), ((P, B, T), 7)])
def test_cross_entropies_and_accuracies(shape, ignored):
    logits, targets = draw(*shape, ignored=ignored)
    for i in range(P):
        expected = cross_entropy(logits[i].flatten(0, -2), targets[i].flatten())
        assert_same(member_cross_entropy(logits, targets)[i], expected)
        asked = targets[i] != IGNORED
        right = (logits[i].argmax(-1) == targets[i])[asked].double().mean()
        assert_same(member_accuracy(logits, targets)[i], right)
    shared = targets[:1]
    assert_same(member_cross_entropy(logits, shared), member_cross_entropy(logits, shared.expand(shape)))
    assert_same(member_accuracy(logits, shared), member_accuracy(logits, shared.expand(shape)))


def test_squared_errors():
    outputs, targets = torch.randn(P, B, 1), torch.randn(P, B)
    for i in range(P):
        assert_same(member_squared_error(outputs, targets)[i], mse_loss(outputs[i, :, 0], targets[i]))
        assert_same(negated(member_squared_error)(outputs, targets)[i], -mse_loss(outputs[i, :, 0], targets[i]))


def test_each_member_is_clipped_by_its_own_norm():
    models = [nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2)) for _ in range(P)]
    population = Population(models)
    for i, model in enumerate(models):
        for parameter, stacked in zip(model.parameters(), population.parameters(), strict=True):
            parameter.grad = torch.randn_like(parameter) * 10.0 ** (i - 2)
            if stacked.grad is None:
                stacked.grad = torch.zeros_like(stacked)
            stacked.grad[i] = parameter.grad
    norms = clip_member_norms(population.parameters(), 0.7)
    assert norms[0] < 0.7 < norms[2]
    for i, model in enumerate(models):
        assert_same(norms[i], nn.utils.clip_grad_norm_(model.parameters(), 0.7))
        for parameter, stacked in zip(model.parameters(), population.parameters(), strict=True):
            assert_same(stacked.grad[i], parameter.grad)


def test_there_is_nothing_to_clip_before_backward():
    with pytest.raises(ShapeError, match="no parameter has a gradient"):
        clip_member_norms(Population.build(lambda: nn.Linear(2, 2), range(P)).parameters(), 1.0)


def test_evaluation_in_pieces_is_evaluation(monkeypatch):
    population = Population.build(lambda: SequenceTagger(7, C, hidden_size=4, embedding_dim=4), range(P))
    tokens, targets = torch.randint(0, 7, (1, 50, T)), torch.randint(0, C, (1, 50, T))
    whole = evaluate_members(population, (tokens, targets), member_cross_entropy, member_accuracy)
    monkeypatch.setattr("ostinato.train.member_metrics._ROWS", 7 * P * T)
    pieces = evaluate_members(population, (tokens, targets), member_cross_entropy, member_accuracy)
    assert population.training
    for a, b in zip(pieces, whole, strict=True):
        assert a.dtype == torch.float64
        assert a.shape == (P,)
        torch.testing.assert_close(a, b, rtol=0, atol=1e-6)


def test_evaluation_refuses_examples_for_another_number_of_members():
    population = Population.build(lambda: nn.Linear(2, 2), range(P))
    with pytest.raises(ShapeError, match=r"for a population of 3 each must be \[3, N, ...\], or \[1, N, ...\]"):
        evaluate_members(population, (torch.zeros(2, 5, 2), torch.zeros(2, 5)), member_squared_error)


def test_epochs_in_order():
    inputs, targets = torch.arange(10).view(1, 10), torch.arange(30).view(3, 10)
    batches = Epochs((inputs, targets), 4)
    assert batches.steps == 3
    for step in (0, 3, 30):
        assert batches.at(step)[0].tolist() == [[0, 1, 2, 3]]
    assert batches.at(5)[1].tolist() == [[8, 9], [18, 19], [28, 29]]
    batches.keep([2])
    assert batches.at(2)[1].tolist() == [[28, 29]]
    assert batches.at(2)[0].tolist() == [[8, 9]]
    with pytest.raises(ShapeError, match="the batch size is 0"):
        Epochs((inputs, targets), 0)
    with pytest.raises(ShapeError, match="there are 2 seeds for the examples of 3 members"):
        Epochs((inputs, targets), 4, seeds=(1, 2))


def test_shuffled_epochs_see_every_example_once_and_can_be_asked_in_any_order():
    numbers = torch.arange(20).view(2, 10)
    batches = Epochs((numbers,), 4, seeds=(5, 9))
    epochs = [torch.cat([batches.at(3 * e + k)[0] for k in range(3)], 1) for e in range(4)]
    for epoch in epochs:
        assert epoch.sort(1).values.tolist() == numbers.tolist()
    assert epochs[0].tolist() != epochs[1].tolist()
    again = torch.cat([batches.at(3 + k)[0] for k in range(3)], 1)
    assert torch.equal(again, epochs[1])
    other = Epochs((numbers,), 4, seeds=(5, 9))
    assert torch.equal(other.at(9)[0], epochs[3][:, :4])
    batches.keep([1])
    assert torch.equal(batches.at(9)[0], epochs[3][1:, :4])


def test_fresh_batches():
    drawn = []

    def draw(seed, block):
        drawn.append((seed, block))
        return (torch.arange(6) + 100 * seed + 10 * block,)

    batches = Fresh(draw, (1, 2), batch_size=2, batches_a_block=3)
    assert batches.at(0)[0].tolist() == [[100, 101], [200, 201]]
    assert batches.at(4)[0].tolist() == [[112, 113], [212, 213]]
    assert batches.at(5)[0].tolist() == [[114, 115], [214, 215]]
    assert drawn == [(1, 0), (2, 0), (1, 1), (2, 1)]
    batches.keep([1])
    assert batches.at(5)[0].tolist() == [[214, 215]]
    with pytest.raises(DataError, match="a block holds 6 examples; 20 batches of 2 take 40"):
        Fresh(draw, (1,), batch_size=2).at(0)


@pytest.mark.parametrize(
    ("rates", "message"),
    [((0.1, 0.2), "there are 2 learning rates for 3 members"), ((0.1, -1.0, 0.0), "each must be a number from 0 on")],
)
def test_learning_rates_that_are_none(rates, message):
    population = Population.build(lambda: nn.Linear(2, 2), range(P))
    with pytest.raises(ShapeError, match=message):
        LearningRates(torch.optim.SGD(population.parameters(), 1.0), rates)
