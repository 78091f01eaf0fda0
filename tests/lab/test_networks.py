"""The networks of an experiment: how they are made, that each ends where it would alone, how they are kept."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import cross_entropy

from ostinato import train
from ostinato.cells import CELLS, lstm, srn
from ostinato.errors import DataError
from ostinato.lab.networks import Group, load_data, load_network, make_network, models_file, train_group
from ostinato.lab.recipe import Settings
from ostinato.nn import SequenceClassifier, SequenceTagger
from ostinato.tasks import TASKS, DigitSum
from tolerances import assert_same

SETTINGS = Settings.of(cells=("lstm",), lengths=(5,), seeds=3, seed=7, steps=57, hidden_size=6, evaluate_every=10)
GROUP = Group(lstm, 5, SETTINGS.members)


def train_in(folder, settings=SETTINGS, group=GROUP):
    (folder / "training").mkdir(exist_ok=True)
    return train_group(settings, group, folder)


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("cell", [srn, lstm], ids=str)
def test_a_network_answers_its_task(task, cell):
    network = make_network(task, cell, 6)
    assert type(network) is (SequenceTagger if task.every_step else SequenceClassifier)
    length = max(task.shortest, task.lengths[0])
    inputs, targets = task.sample(length, 4, (0,))
    logits = network(inputs)
    assert logits.shape == (*targets.shape, task.outputs)
    criterion = cross_entropy if task.metric == "accuracy" else lambda a, b: (a[:, 0] - b).square().mean()
    assert criterion(logits.flatten(0, -2), targets.flatten()).isfinite()


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_the_start_is_xavier_with_one_zero_bias(cell):
    weights = dict(make_network(TASKS["digit-sum"], cell, 32).named_parameters())
    assert not any("bias_hh" in name for name in weights)
    matrices = {name: weight for name, weight in weights.items() if "weight" in name}
    assert {"embedding.weight", "linear.weight", "recurrent.weight_ih_l0"} <= matrices.keys()
    for name, weight in weights.items():
        if "bias" in name and "recurrent" in name:
            assert not weight.any()
    for matrix in (
        matrices["embedding.weight"],
        matrices["linear.weight"],
        *matrices["recurrent.weight_ih_l0"].split(32),
    ):
        bound = (6 / sum(matrix.shape)) ** 0.5
        assert 0.9 * bound < matrix.abs().max() <= bound


def test_a_network_of_a_run_ends_where_it_ends_alone(tmp_path):
    results = train_in(tmp_path)
    for seed, result in zip(GROUP.seeds, results, strict=True):
        data = DigitSum.generate(5, seed=seed)
        torch.manual_seed(seed)
        model = make_network(TASKS["digit-sum"], lstm, 6)
        alone = train.Runner(model, torch.optim.Adam(model.parameters(), 1e-3), batch_size=8, evaluate_every=10)
        history = alone.fit(data.train, data.dev, epochs=2, folder=tmp_path / "alone")
        evaluations = history.evaluations[:5]  # the run has stopped after one epoch and a half
        assert result.curve.step == [10, 20, 30, 40, 50, 57]
        assert result.curve.step[:5] == [e.step for e in evaluations]
        assert result.curve.dev_loss[:5] == pytest.approx([e.loss for e in evaluations], abs=1e-5)
        assert result.curve.dev[:5] == pytest.approx([e.score for e in evaluations])
        means = [sum(history.train_loss[k : k + 10]) / 10 for k in range(0, 50, 10)]
        assert result.curve.train_loss[:5] == pytest.approx(means, abs=1e-5)


def test_fresh_examples_clipping_and_numbers_as_alone(tmp_path):
    """The adding task as the books have it: a loop in torch, for every seed by itself."""
    settings = Settings.of("adding", ["gru"], lengths=[6], seeds=3, steps=45, hidden_size=6, evaluate_every=15)
    settings = replace(settings, batch_size=4, clip_norm=0.1, learning_rate=0.01)
    group, task = Group(CELLS["gru"], 6, settings.members), TASKS["adding"]
    for seed, result in zip(group.seeds, train_in(tmp_path, settings, group), strict=True):
        torch.manual_seed(seed)
        model = make_network(task, group.cell, 6)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        dev, test = task.sample(6, 200, (seed, 6, 1)), task.sample(6, 1000, (seed, 6, 2))
        norms, errors, tests = [], [], []
        for step in range(45):
            block, k = divmod(step, 20)
            inputs, targets = (t[4 * k : 4 * k + 4] for t in task.sample(6, 80, (seed, 6, 0, block)))
            optimizer.zero_grad()
            (model(inputs)[:, 0] - targets).square().mean().backward()
            norms.append(torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1))
            optimizer.step()
            if (step + 1) % 15 == 0:
                with torch.no_grad():
                    errors.append((model(dev.inputs)[:, 0] - dev.targets).square().mean().item())
                    tests.append((model(test.inputs)[:, 0] - test.targets).square().mean().item())
        assert max(norms) > 0.1  # or the clip would not be seen
        assert result.curve.dev == pytest.approx(errors, abs=1e-5)
        best = errors.index(min(errors))
        assert (result.best_step, result.dev) == (15 * (best + 1), result.curve.dev[best])
        assert result.test == pytest.approx(tests[best], abs=1e-5)


def test_the_kept_models_are_the_best(tmp_path):
    """A learning rate so high that the last models are worse than the kept ones."""
    settings = replace(SETTINGS, learning_rate=0.1, steps=200)
    results = train_in(tmp_path, settings)
    assert any(result.dev > result.curve.dev[-1] for result in results)
    for result in results:
        assert result.dev == max(result.curve.dev) == result.curve.dev[result.curve.step.index(result.best_step)]
        network = load_network(settings, GROUP, result.seed, tmp_path)
        data = load_data(settings, 5, result.seed)
        assert train.evaluate(network, data.dev, train.accuracy) == [pytest.approx(result.dev)]
        assert train.evaluate(network, data.test, train.accuracy) == [pytest.approx(result.test)]


def test_what_was_interrupted_goes_on_with_the_same_numbers(tmp_path):
    """Stopped where the best models so far are not the latest."""
    settings = replace(SETTINGS, learning_rate=0.1, steps=157)
    (tmp_path / "a").mkdir()
    whole = train_in(tmp_path / "a", settings)
    stops = sorted(random.Random(3).sample(range(10, 157, 10), 3))
    assert any(result.best_step < stops[-1] for result in whole)

    def stop(progress):
        if stops and progress.step == stops[0]:
            stops.pop(0)
            raise KeyboardInterrupt

    (tmp_path / "b" / "training").mkdir(parents=True)
    for _ in range(3):
        with pytest.raises(KeyboardInterrupt):
            train_group(settings, GROUP, tmp_path / "b", stop)
    again = train_group(settings, GROUP, tmp_path / "b", stop)
    assert [replace(result, seconds=0) for result in again] == [replace(result, seconds=0) for result in whole]
    assert models_file(tmp_path / "a", GROUP).read_bytes() == models_file(tmp_path / "b", GROUP).read_bytes()


def test_data_files_are_there_once_for_all_networks(tmp_path, monkeypatch):
    DigitSum.generate(5, copies=1, seed=99).write(tmp_path / "data" / "5")
    settings = replace(SETTINGS, data=str(tmp_path / "data"))
    given, epochs = [], train.Epochs
    monkeypatch.setattr(train, "Epochs", lambda examples, size: given.append(examples) or epochs(examples, size))
    results = train_in(tmp_path, settings)
    assert [tensor.shape for tensor in given[0]] == [(1, 100, 5), (1, 100)]
    assert len({tuple(result.curve.dev_loss) for result in results}) == 3  # the weights still differ
    for result in results:
        torch.manual_seed(result.seed)
        model = make_network(TASKS["digit-sum"], lstm, 6)
        alone = train.Runner(model, torch.optim.Adam(model.parameters(), 1e-3), batch_size=8, evaluate_every=10)
        data = DigitSum.read(tmp_path / "data" / "5")
        history = alone.fit(data.train, data.dev, epochs=4, folder=tmp_path / "alone")
        assert result.curve.dev_loss[:5] == pytest.approx([e.loss for e in history.evaluations[:5]], abs=1e-5)


def test_data_files_of_another_length(tmp_path):
    DigitSum.generate(5).write(tmp_path / "6")
    settings = replace(SETTINGS, lengths=(6,), data=str(tmp_path))
    with pytest.raises(DataError, match=f"^{tmp_path / '6'} holds sequences of length 5, not 6$"):
        load_data(settings, 6, 0)


@pytest.mark.parametrize("content", [None, b"", b"half a fi"])
def test_a_model_file_that_cannot_be_read(tmp_path, content):
    train_in(tmp_path)
    path: Path = models_file(tmp_path, GROUP)
    whole = path.read_bytes()
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path} cannot be read: "):
        load_network(SETTINGS, GROUP, 7, tmp_path)
    path.write_bytes(whole)
    first = load_network(SETTINGS, GROUP, 7, tmp_path).state_dict()
    second = load_network(SETTINGS, GROUP, 8, tmp_path).state_dict()
    assert not torch.equal(first["linear.weight"], second["linear.weight"])
    assert_same(
        first["linear.weight"], load_network(SETTINGS, GROUP, 7, tmp_path).get_parameter("linear.weight").detach()
    )
