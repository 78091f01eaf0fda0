"""What every task promises: its form, the same examples for ever, an honest level of chance, clear refusals."""

import doctest
import hashlib
import importlib
import pkgutil

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from ostinato import tasks
from ostinato.errors import DataError
from ostinato.tasks import IGNORED, TASKS, Recipe, Task

MODULES = [module.name for module in pkgutil.iter_modules(tasks.__path__)]


@pytest.fixture(params=TASKS.values(), ids=TASKS)
def task(request) -> Task:
    return request.param


def digest(examples) -> str:
    return hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in examples)).hexdigest()[:16]


@pytest.mark.parametrize("name", MODULES)
def test_worked_examples(name):
    results = doctest.testmod(importlib.import_module(f"ostinato.tasks.{name}"))
    assert results.failed == 0
    assert results.attempted or name == "task"


def test_every_task_is_found_by_its_name():
    assert set(TASKS.values()) == {tasks.find(task.name) for task in TASKS.values()}
    assert {type(task) for task in TASKS.values()} == {
        value for value in vars(tasks).values() if isinstance(value, type) and issubclass(value, Task)
    } - {Task}


def test_another_name_is_refused():
    with pytest.raises(DataError, match="no task is called 'sum'; there are: digit-sum, digit-sum-fresh, copy, adding"):
        tasks.find("sum")


def test_the_settings_fit_together(task):
    assert task.lengths == tuple(sorted(set(task.lengths)))
    assert task.lengths[0] >= task.shortest
    assert isinstance(task.recipe, Recipe)
    assert (task.metric == "mse") == (task.outputs == 1)
    for length in task.lengths:
        chance = task.chance(length)
        assert chance < task.threshold < 1 if task.metric == "accuracy" else 0 < task.threshold < chance


@given(st.data())
def test_the_form_of_examples(data):
    task = data.draw(st.sampled_from(list(TASKS.values())))
    length = data.draw(st.sampled_from(range(task.shortest, 60, 2)) if task.name != "digits" else st.just(64))
    count = data.draw(st.integers(1, 5))
    seed = tuple(data.draw(st.lists(st.integers(0, 2**63), min_size=1, max_size=4)))
    inputs, targets = task.sample(length, count, seed)
    assert inputs.is_contiguous()
    assert targets.is_contiguous()
    if task.num_embeddings is None:
        assert inputs.dtype == torch.float32
        assert inputs.shape == (count, inputs.shape[1], task.input_size)
        assert inputs.min() >= 0
        assert inputs.max() <= 1
    else:
        assert inputs.dtype == torch.int64
        assert inputs.shape == (count, inputs.shape[1])
        assert inputs.min() >= 0
        assert inputs.max() < task.num_embeddings
    assert inputs.shape[1] >= length
    assert targets.shape == (inputs.shape[:2] if task.every_step else (count,))
    assert targets.dtype == (torch.int64 if task.metric == "accuracy" else torch.float32)
    if task.metric == "accuracy":
        classes = targets[targets != IGNORED]
        assert classes.numel() >= count
        assert classes.min() >= 0
        assert classes.max() < task.outputs
    if not task.every_step:
        assert not (targets == IGNORED).any()


def test_every_id_and_every_class_is_used(task):
    inputs, targets = task.sample(task.lengths[-1], 1000, (0,))
    if task.num_embeddings is not None:
        assert inputs.unique().tolist() == list(range(task.num_embeddings))
    if task.metric == "accuracy":
        assert targets[targets != IGNORED].unique().tolist() == list(range(task.outputs))


@pytest.mark.parametrize("which", ["shortest", "first", "last"])
def test_chance_is_the_best_answer_that_is_always_the_same(task, which):
    length = {"shortest": task.shortest, "first": task.lengths[0], "last": task.lengths[-1]}[which]
    _, targets = task.sample(length, 20_000, (1, length))
    targets = targets[targets != IGNORED]
    if task.metric == "mse":
        best = targets.var(correction=0).item()
    else:
        best = targets.bincount().max().item() / targets.numel()
    assert best == pytest.approx(task.chance(length), abs=0.012)


SAMPLES = {
    "digit-sum": "4a31f86aa0670f3a",
    "digit-sum-fresh": "4a31f86aa0670f3a",
    "copy": "554a0fc57472c356",
    "adding": "32ce6a5b6f666091",
    "recall": "9a8563b83e8997a3",
    "parity": "820761ef3a52c01b",
    "dyck2": "4c97909ce2bfecd5",
    "mqar": "5211da5c775bd472",
    "selective-copy": "e298fa6f410e50fc",
    "digits": "bf998885f29ee614",
}

DATA = {
    "digit-sum": "297a6f59b3431032",
    "digit-sum-fresh": "d9f4a2ee523a8bb5",
    "copy": "08ba8e79d85e4593",
    "adding": "1a471cb3e16fa784",
    "recall": "c8d0da01999ce6dc",
    "parity": "36a9592a7d9a0e18",
    "dyck2": "c68e46db5ca8f72c",
    "mqar": "475a963790c8fc39",
    "selective-copy": "cc9a7e3e730e3d1a",
    "digits": "7da7a04b53c09221",
}


def test_the_same_seed_gives_the_same_sample_for_ever(task):
    length = task.lengths[0]
    assert digest(task.sample(length, 7, (1, 2, 3))) == SAMPLES[task.name]


def test_the_same_seed_gives_the_same_data_for_ever(task):
    data = task.data(task.lengths[0], seed=5)
    assert digest(tensor for split in data if split is not None for tensor in split) == DATA[task.name]


def test_other_seeds_give_other_examples(task):
    length = task.lengths[0]
    seeds = [(0,), (1,), (0, 0), (0, length, 1), (0, length, 2), (0, length, 1, 0)]
    assert len({digest(task.sample(length, 20, seed)) for seed in seeds}) == len(seeds)
    assert len({digest(split) for seed in (0, 1) for split in task.data(length, seed) if split is not None}) in (4, 6)


def test_dev_and_test_are_not_each_other(task):
    """Two streams: what is equal in both by chance is a small share (DigitSum has one hundred pairs, and few tails)."""
    length = task.lengths[-1]
    data = task.data(length, seed=0)
    dev, test = ({row.numpy().tobytes() for row in split.inputs} for split in (data.dev, data.test))
    assert len(dev & test) / len(dev) < 0.35


def test_the_global_seeds_have_no_part_in_it(task):
    torch.manual_seed(0)
    np.random.seed(0)
    first = digest(task.sample(task.lengths[0], 3, (4,)))
    torch.manual_seed(1)
    np.random.seed(1)
    assert digest(task.sample(task.lengths[0], 3, (4,))) == first


def test_what_a_task_refuses(task):
    length, short = task.lengths[0], task.shortest - 1
    with pytest.raises(DataError, match=rf"length {short} is"):
        task.sample(short, 1, (0,))
    with pytest.raises(DataError, match=rf"length {short}"):
        task.data(short, 0)
    with pytest.raises(DataError, match="count of examples is 0; it must be at least 1"):
        task.sample(length, 0, (0,))
    with pytest.raises(DataError, match="seed is -2; it must be 0 or more"):
        task.sample(length, 1, (3, -2))
    with pytest.raises(DataError, match="seed is -1; it must be 0 or more"):
        task.data(length, -1)


def test_data_of_fixed_examples_are_for_some_and_fresh_ones_for_the_others():
    fixed = {name for name, task in TASKS.items() if task.data(task.lengths[0], 0).train is not None}
    assert fixed == {"digit-sum", "digits"}
