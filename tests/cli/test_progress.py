"""How far a run is, in words."""

import math

import pytest
from rich.console import Console

from ostinato.cells import lstm
from ostinato.cli import progress as module
from ostinato.cli.progress import duration, progress
from ostinato.lab.memory import Progress
from ostinato.lab.networks import Group
from ostinato.train import PopulationProgress


def at(step, fraction, scores=(0.5, 0.75), finished=0):
    return Progress(Group(lstm, 10, range(2)), PopulationProgress(step, 300, scores), finished, 4, fraction)


@pytest.fixture
def clock(monkeypatch):
    """The time, to be set."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_elsewhere_than_on_a_terminal_there_is_now_and_then_a_line(clock, capsys):
    with progress() as tell:
        for seconds, moment in [
            (1, at(100, 0.10)),
            (5, at(200, 0.20)),
            (9, at(300, 0.30, finished=1)),
            (15, at(100, 0.35, (-0.001, math.nan))),
            (20, at(200, 0.50, (math.nan, math.nan))),
            (5409, at(300, 1.0, (), 4)),
        ]:
            clock[0] = 100 + seconds
            tell(moment)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "30%, 28 s left; lstm, length 10: dev 0.62 in the mean (1 of 4 done)",  # 20% took 8 s
        "50%, 24 s left; lstm, length 10: dev no number in the mean (0 of 4 done)",
        "100%, done; lstm, length 10: dev no number in the mean (4 of 4 done)",
    ]


def test_the_time_left_of_a_run_that_goes_on_is_of_its_own_work(clock, capsys):
    with progress() as tell:
        for seconds, fraction in [(0, 0.9), (11, 0.9), (22, 0.92)]:
            clock[0] = 100 + seconds
            tell(at(100, fraction))
    assert [line.partition(";")[0] for line in capsys.readouterr().err.splitlines()] == [
        "90%, begun",
        "92%, 88 s left",  # 2% took 22 s
    ]


def test_small_errors_are_no_noughts(capsys):
    with progress() as tell:
        tell(at(300, 0.5, (-0.001, -0.002)))
    assert "dev 0.0015 in the mean" in capsys.readouterr().err


def test_on_a_terminal_there_is_a_bar_that_goes_away(monkeypatch, capsys):
    monkeypatch.setattr(Console, "is_terminal", True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    with progress() as tell:
        tell(at(100, 0.10))
        tell(at(200, 0.55))
    out, err = capsys.readouterr()
    assert out == ""
    assert "starting" in err
    assert "55%" in err
    assert "lstm, length 10: dev 0.62 in the mean (0 of 4 done)" in err
    assert err.endswith("\x1b[2K")  # the line is cleared


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.4, "0 s"), (89.4, "89 s"), (90, "2 min"), (3600, "60 min"), (5400, "1.5 h"), (9e4, "25.0 h")],
)
def test_durations(seconds, words):
    assert duration(seconds) == words
