"""Scores: counted by hand, the same in any cut into batches, and the model left as it was."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from ostinato.train import accuracy, evaluate


def test_accuracy_counts():
    logits = torch.tensor([[1.0, 2.0, 0.0], [3.0, 2.0, 0.0], [0.0, 0.0, 1.0], [5.0, 0.0, 1.0]])
    assert accuracy(logits, torch.tensor([1, 0, 2, 2])).item() == 0.75


@pytest.mark.parametrize("batch_size", [1, 7, 60, 1000])
def test_batches_do_not_matter(make_runner, examples, batch_size):
    model = make_runner().model
    whole = model(examples[0])
    loss, score = evaluate(model, examples, cross_entropy, accuracy, batch_size=batch_size)
    assert loss == pytest.approx(cross_entropy(whole, examples[1]).item(), rel=1e-6)  # float32 sums in another order
    assert score == accuracy(whole, examples[1]).item()


@pytest.mark.parametrize("training", [True, False])
def test_the_model_keeps_its_mode(examples, training):
    model = torch.nn.Sequential(torch.nn.Dropout(0.5), torch.nn.Linear(4, 4)).train(training)
    first, second = evaluate(model, examples, cross_entropy), evaluate(model, examples, cross_entropy)
    assert first == second  # no dropout while a model is judged
    assert model.training is training
    assert all(parameter.grad is None for parameter in model.parameters())
