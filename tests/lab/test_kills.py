"""A run that is killed at any moment goes on, and ends with the numbers of one that nobody disturbed."""

import mmap
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import count
from pathlib import Path

import polars as pl
import pytest
import torch
from typer.testing import CliRunner

from ostinato.cli import app
from ostinato.errors import DataError
from ostinato.lab import memory, report
from ostinato.lab.recipe import Settings
from ostinato.lab.store import Store
from ostinato.train import Epochs, PopulationRunner

#: Of the moments.
SEED = 20260501

SETTINGS = Settings.of(cells=("srn", "lstm"), lengths=(4, 5), seeds=3, steps=600, hidden_size=8, evaluate_every=50)

# The program, but for how often it writes: kills shall fall into writes, and not just between them. Workers import it.
PROGRAM = """
from ostinato.cli import main
from ostinato.train import PopulationRunner
PopulationRunner.fit.__kwdefaults__["checkpoint_seconds"] = 0.02
if __name__ == "__main__":
    main()
"""


def numbers(folder):
    """The results, without how long they took, and the models: two runs of one kind have these in common."""
    results = [replace(result, seconds=0) for result in memory.finished(folder)]
    return results, {path.name: path.read_bytes() for path in sorted((folder / "models").iterdir())}


def tables(folder):
    frames = {path.name: pl.read_csv(path) for path in sorted(folder.glob("*.csv"))}
    return {name: frame.drop("seconds", strict=False).to_dict(as_series=False) for name, frame in frames.items()}


def assert_nothing_is_left(folder):
    assert {p.name for p in folder.iterdir() if p.suffix not in (".csv", ".png", ".svg", ".html")} <= {
        *("run.sqlite", "run.lock", "models", "training")
    }
    assert not list((folder / "training").iterdir())


# At random moments, whole processes.


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    torch.set_num_threads(1)  # as in the program
    folder = tmp_path_factory.mktemp("undisturbed")
    results = memory.run(SETTINGS, folder)
    report.write(memory.about(folder), results, SETTINGS.found_task, folder)
    return folder


def command(folder, workers):
    return [*SETTINGS.command().split()[1:], "--out", str(folder), "--workers", str(workers)]


class Started:
    """`ostinato memory`, started again on its folder, to be killed as soon as something has happened."""

    def __init__(self, program: Path, folder: Path, workers: int) -> None:
        self.folder = folder
        self.results_before, self.begin = self._results(), time.time()
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen([sys.executable, program, *command(folder, workers)], **pipes)

    def started(self):
        return True

    def locked(self):
        return (self.folder / "run.holder").exists()

    def training(self):
        """A population is on the disk."""
        try:
            return any(path.stat().st_mtime > self.begin for path in (self.folder / "training").glob("*.safetensors"))
        except OSError:  # a file that has just gone
            return False

    def result(self):
        return self._results() > self.results_before

    def complete(self):
        return self._results() == 2 * 2 * 3

    def _results(self):
        return len(memory.finished(self.folder))

    def wait_for(self, event: str) -> None:
        while self.process.poll() is None and not getattr(self, event)():
            time.sleep(0.005)

    def end(self, sent=None):
        """What it has written to stderr. This is read to its end, so this process and all of its workers are gone."""
        if sent is not None:
            self.process.send_signal(sent)
        _, said = self.process.communicate(timeout=30)
        return said


#: How many workers, after what, how many seconds at most between that and the signal, which signal.
KILLS = [
    (1, "started", 1.5, signal.SIGKILL),
    (1, "started", 1.5, signal.SIGTERM),
    (1, "started", 1.5, signal.SIGKILL),
    (2, "locked", 2.5, signal.SIGKILL),
    (1, "locked", 0.03, signal.SIGKILL),
    (1, "training", 0.1, signal.SIGKILL),
    (2, "training", 0.2, signal.SIGKILL),
    (1, "training", 0.1, signal.SIGINT),
    (1, "training", 0.1, signal.SIGTERM),
    (1, "result", 0.03, signal.SIGKILL),
    (1, "complete", 0.4, signal.SIGKILL),
]


@pytest.mark.slow
def test_killed_at_random_moments(undisturbed, tmp_path):
    program, folder, draw = tmp_path / "program.py", tmp_path / "run", random.Random(SEED)
    program.write_text(PROGRAM)
    seen = set()
    for workers, event, longest, sent in KILLS:
        started, pause = Started(program, folder, workers), draw.uniform(0, longest)
        moment = f"{workers} workers, {pause:.3f} s after '{event}', {sent.name}"
        started.wait_for(event)
        time.sleep(pause)
        assert started.process.poll() is None, f"ended before it was killed: {moment}\n{started.end()}"
        if (workers, event, sent) == (2, "training", signal.SIGKILL):
            refused = f"^{folder} is in use by process {started.process.pid} on .+: wait for it to end"
            with pytest.raises(DataError, match=refused):
                memory.run(SETTINGS, folder)
        said = started.end(sent)
        if sent is signal.SIGINT:
            assert started.process.returncode == 130, moment
            assert "Traceback" not in said, moment
            assert f"of 12 networks finished. To continue: {SETTINGS.command()} --out {folder}" in said, moment
        else:
            assert started.process.returncode == -sent, moment
        now = {(result.cell, result.length, result.seed) for result in memory.finished(folder)}
        assert seen <= now, f"lost: {seen - now}; {moment}"
        seen = now
    last = CliRunner().invoke(app, command(folder, workers=1))
    assert last.exit_code == 0, last.output
    assert "nothing was trained" in last.stderr
    assert numbers(folder) == numbers(undisturbed)
    assert tables(folder) == tables(undisturbed)
    assert_nothing_is_left(folder)


# Before and inside of everything that is written, one process.

SMALL = replace(SETTINGS, cells=("lstm",), lengths=(4,), seeds=2, steps=2, hidden_size=4, evaluate_every=2)


class Killer:
    """Kills this process before it touches a file of the folder for the n-th time, and in the middle of writes."""

    def __init__(self, folder: Path, n: int) -> None:
        self.folder, self.left = str(folder), n
        sys.addaudithook(self.look)
        write_bytes, add = Path.write_bytes, Store._add

        def write_half(path, content):
            write_bytes(path, content[: len(content) // 2])
            self.touch()
            write_bytes(path, content)

        def add_one(store, result):
            self.touch()
            add(store, result)

        Path.write_bytes, Store._add = write_half, add_one

    def look(self, event, arguments):
        if event in ("open", "os.mkdir", "os.rename", "os.remove", "sqlite3.connect") and self.folder in str(arguments):
            self.touch()

    def touch(self):
        if not self.left:
            os.kill(os.getpid(), signal.SIGKILL)
        self.left -= 1


class Steps:
    """How many steps are made, by this process and by those that it forks."""

    def __init__(self, monkeypatch):
        self.made = mmap.mmap(-1, 1)
        at = Epochs.at

        def counted(batches, step):
            self.made[0] += 1
            return at(batches, step)

        monkeypatch.setattr(Epochs, "at", counted)

    def since(self):
        made, self.made[0] = self.made[0], 0
        return made


def run_killed(folder, n):
    """Run in a process that is killed the n-th time; whether it came to that."""
    child = os.fork()
    if not child:
        try:
            Killer(folder, n)
            memory.run(SMALL, folder)
        except BaseException as error:
            print(error, file=sys.__stderr__)
            os._exit(1)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*fork")
def test_killed_at_every_write(monkeypatch, tmp_path):
    monkeypatch.setitem(PopulationRunner.fit.__kwdefaults__, "checkpoint_seconds", 0.0)  # after every step
    steps, draw = Steps(monkeypatch), random.Random(SEED)
    memory.run(SMALL, tmp_path / "undisturbed")
    expected, needed = numbers(tmp_path / "undisturbed"), steps.since()
    assert needed == 2
    for n in count():
        folder = tmp_path / str(n)
        kills = run_killed(folder, n)
        if not kills:
            break
        if n % 4 == 0:
            kills += run_killed(folder, draw.randrange(40))  # and once more while it goes on
        memory.run(SMALL, folder)
        assert numbers(folder) == expected, n
        assert steps.since() <= needed + kills, n  # no more than the latest step is made again
        assert_nothing_is_left(folder)
    assert n > 40
    assert numbers(folder) == expected
