"""The settings of an experiment: defaults, refusals, and the command that says them."""

import math
import shlex
from dataclasses import asdict, fields, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from ostinato.cli import app
from ostinato.errors import DataError
from ostinato.lab import memory
from ostinato.lab.recipe import Settings
from ostinato.tasks import TASKS

SMALL = Settings.of(lengths=(4, 5), seeds=2, steps=10)


def test_the_recipe_of_the_chapter():
    assert asdict(Settings.of()) == {
        "task": "digit-sum",
        "cells": ("srn", "lstm"),
        "lengths": (10, 15, 20, 25, 30, 35),
        "seeds": 16,
        "seed": 0,
        "steps": 500 * 38,
        "batch_size": 8,
        "hidden_size": 32,
        "learning_rate": 1e-3,
        "clip_norm": None,
        "evaluate_every": 100,
        "data": None,
    }


@pytest.mark.parametrize("task", TASKS)
def test_every_task_has_a_recipe_that_can_be_run(task):
    settings, recipe = Settings.of(task), TASKS[task].recipe
    assert settings.lengths == TASKS[task].lengths
    for field in fields(recipe):
        assert getattr(settings, field.name) == getattr(recipe, field.name)


def test_what_is_given_goes_before_the_recipe():
    settings = Settings.of("adding", ["gru"], lengths=[7], steps=5, clip_norm=2.5, batch_size=None)
    assert (settings.cells, settings.lengths, settings.steps, settings.clip_norm) == (("gru",), (7,), 5, 2.5)
    assert settings.batch_size == TASKS["adding"].recipe.batch_size


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"task": "sums"}, "no task is called 'sums'; there are: digit-sum, .*adding"),
        ({"cells": ()}, "no cells are given; at least one is needed"),
        ({"cells": ("srn", "lstm", "srn")}, "'srn' is there twice among the cells; once is enough"),
        ({"lengths": ()}, "no lengths are given; at least one is needed"),
        ({"lengths": (4, 4)}, "4 is there twice among the lengths; once is enough"),
        ({"lengths": (10, 2)}, "length 2 is too short for digit-sum: it takes at least 3"),
        ({"seeds": 0}, "seeds is 0; it must be at least 1"),
        ({"steps": -1}, "steps is -1; it must be at least 1"),
        ({"batch_size": 0}, "batch size is 0; it must be at least 1"),
        ({"hidden_size": 0}, "hidden size is 0; it must be at least 1"),
        ({"evaluate_every": 0}, "evaluate every is 0; it must be at least 1"),
        ({"seed": -3}, "the seed is -3; it must be from 0 to 9223372036854775805"),
        ({"seed": 2**63 - 2}, "the seed is 9223372036854775806; it must be from 0 to"),
        ({"learning_rate": 0.0}, "learning rate is 0.0; it must be above 0"),
        ({"learning_rate": math.nan}, "learning rate is nan; it must be above 0"),
        ({"clip_norm": -1.0}, "clip norm is -1.0; it must be above 0"),
        ({"clip_norm": math.inf}, "clip norm is inf; it must be above 0 and finite"),
        ({"task": "adding", "data": "x"}, "data files are those of digit-sum; adding draws its own"),
    ],
)
def test_settings_check_themselves(change, sentence):
    with pytest.raises(DataError, match=f"^{sentence}"):
        replace(SMALL, **change)


def test_the_largest_seed_can_be_run(tmp_path):
    settings = replace(SMALL, cells=("srn",), lengths=(4,), seed=2**63 - 3, steps=1, hidden_size=2)
    assert [result.seed for result in memory.run(settings, tmp_path)] == [2**63 - 3, 2**63 - 2]


SETTINGS = st.builds(
    Settings,
    task=st.just("digit-sum"),
    cells=st.lists(st.sampled_from(["srn", "lstm", "my cells/a 'b'.py:c", "gru"]), min_size=1, unique=True).map(tuple),
    lengths=st.lists(st.integers(3, 99), min_size=1, unique=True).map(tuple),
    seeds=st.integers(1, 99),
    seed=st.integers(0, 2**63 - 100),
    steps=st.integers(1, 10**6),
    batch_size=st.integers(1, 99),
    hidden_size=st.integers(1, 99),
    learning_rate=st.floats(1e-9, 1e9),
    clip_norm=st.none() | st.floats(1e-9, 1e9),
    evaluate_every=st.integers(1, 99),
    data=st.none() | st.sampled_from(["data", "my data"]),
)


@given(SETTINGS)
def test_the_command_says_all_of_the_settings(settings):
    """What is typed comes back to `ostinato memory` as the settings that it was made of."""
    seen = []

    def run(settings, *_):
        seen.append(settings)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ostinato.lab.memory.run", run)
        patch.setattr("ostinato.cli.cells.find_cell", lambda text: None)
        program, *arguments = shlex.split(settings.command())
        assert program == "ostinato"
        result = CliRunner().invoke(app, [*arguments, "--out", "nowhere"])
    assert f"To continue: {settings.command()} --out nowhere" in result.stderr
    assert seen == [settings]
