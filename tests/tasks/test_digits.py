"""The handwritten digits: those of scikit-learn, each in one part of the data and no other."""

import pytest
import torch
from sklearn.datasets import load_digits

from ostinato.errors import DataError
from ostinato.tasks import Digits


def rows(inputs, targets):
    """Each image with its class, as numbers that can be compared."""
    return [(*image, label) for image, label in zip((16 * inputs).flatten(1).tolist(), targets.tolist(), strict=True)]


@pytest.fixture(scope="module")
def images():
    theirs = load_digits()
    return rows(torch.tensor(theirs.images) / 16, torch.tensor(theirs.target))


def test_the_parts_are_all_the_images_once(images):
    parts = Digits().data(64, seed=0)
    assert [len(part.targets) for part in parts] == [1297, 200, 300]
    assert sorted(row for part in parts for row in rows(*part)) == sorted(images)


def test_the_seed_decides_the_parts():
    first, second = Digits().data(64, seed=0), Digits().data(64, seed=1)
    both = [{image.numpy().tobytes() for image in data.test.inputs} for data in (first, second)]
    assert 20 < len(both[0] & both[1]) < 80  # 50 are expected


def test_a_sample_is_of_images(images):
    inputs, targets = Digits().sample(64, 50, (0,))
    assert set(rows(inputs, targets)) <= set(images)


def test_chance_is_exact(images):
    labels = [row[-1] for row in images]
    assert Digits().chance(64) == max(map(labels.count, range(10))) / len(labels)


def test_examples_can_be_changed_without_harm():
    data = Digits().data(64, seed=0)
    data.train.inputs.zero_()
    assert Digits().data(64, seed=0).train.inputs.any()


@pytest.mark.parametrize("length", [8, 63, 65])
def test_another_length_is_refused(length):
    with pytest.raises(DataError, match=f"length {length} is not possible for digits: an image has 64 pixels"):
        Digits().data(length, 0)
