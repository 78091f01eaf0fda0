"""`ostinato runs` as a user types it."""

import io
import json
import math
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, replace

import polars as pl
import pytest
from typer.testing import CliRunner

import ostinato.cli
from compat.example import RESULTS, RUN
from ostinato.cli import app
from ostinato.lab.results import Curve, Result
from ostinato.lab.store import FILE, create

PROGRAM = [sys.executable, "-c", "from ostinato.cli import main; main()"]


def invoke(*arguments):
    runner = CliRunner(env={"COLUMNS": "80", "FORCE_COLOR": None})
    result = runner.invoke(app, ["runs", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result


def refuse(capsys, monkeypatch, *arguments):
    """The one sentence on stderr that `main` ends with."""
    monkeypatch.setattr(sys, "argv", ["ostinato", "runs", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        ostinato.cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("ostinato: ")
    assert err.count("\n") == 1
    return err.removeprefix("ostinato: ").rstrip()


def strict(text):
    return json.loads(text, parse_constant=pytest.fail)


def scored(cell, seed, test, length=10):
    curve = Curve([100, 200], [1.0, 0.5], [1.0, 0.5], [0.5, test])
    return Result(cell, length, seed, test, test, 200, 200 if test > 0.9 else None, 200, "finished", 1.0, curve)


def make(folder, run=RUN, results=RESULTS):
    with create(folder, run) as store:
        store.add(results)
    return folder


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A working directory with the runs `runs/first` and `runs/[second]`, and a broken one."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "runs" / "first")
    later = replace(RUN, started="2026-02-01T08:30:00+00:00", settings={**RUN.settings, "seeds": 3, "cells": ["srn"]})
    make(tmp_path / "runs" / "[second]", later, [scored("srn", seed, 0.9 + seed / 100, 20) for seed in (5, 6, 7)])
    (tmp_path / "runs" / "broken").mkdir()
    (tmp_path / "runs" / "broken" / FILE).write_text("no database" * 100)
    return tmp_path


# list


def test_list(here):
    assert invoke("list").stdout.splitlines() == [
        "runs/[second]  2026-02-01 08:30 UTC  3 of 6 networks",
        "    memory digit-sum: srn, lengths 10 20, 3 seeds",
        "runs/first     2026-01-31 12:00 UTC  4 of 8 networks",
        "    memory digit-sum: srn lstm, lengths 10 20, 2 seeds",
        "runs/broken    cannot be read",
        "    runs/broken/run.sqlite is damaged, or not the file of a run: file is not a database",
    ]
    assert invoke("list", here).stdout.count(str(here / "runs" / "first")) == 1


def test_list_as_json(here):
    second, first, broken = strict(invoke("list", "--json").stdout)
    assert first == {
        "folder": "runs/first",
        "experiment": "memory",
        "started": RUN.started,
        "task": "digit-sum",
        "cells": ["srn", "lstm"],
        "lengths": [10, 20],
        "seeds": 2,
        "networks": 4,
        "planned": 8,
        "finished": False,
        "problem": None,
    }
    assert second["folder"] == "runs/[second]"
    assert (broken["experiment"], broken["networks"], broken["planned"]) == (None, 0, None)
    assert "file is not a database" in broken["problem"]


def test_a_run_whose_settings_say_nothing(tmp_path):
    make(tmp_path, replace(RUN, settings={}))
    assert invoke("list", tmp_path).stdout.splitlines()[1] == "    memory"
    assert "  4 networks\n" in invoke("list", tmp_path).stdout
    assert invoke("show", tmp_path).stdout.count("4 ") >= 1


@pytest.mark.parametrize("made", [False, True])
def test_an_empty_list_says_what_to_do(tmp_path, monkeypatch, made):
    monkeypatch.chdir(tmp_path)
    if made:
        (tmp_path / "runs").mkdir()
    result = invoke("list")
    assert result.stdout == ""
    assert result.stderr == (
        "No run in runs. 'ostinato memory' makes one; 'ostinato runs list FOLDER' looks elsewhere.\n"
    )
    assert invoke("list", "--json").stdout == "[]\n"


# show


def test_show(here):
    lines = invoke("show", "runs/first").stdout.splitlines()
    assert lines[0] == RUN.command
    assert max(map(len, lines)) <= 80
    text = "\n".join(line.rstrip() for line in lines)
    assert "started     2026-01-31 12:00 UTC\n" in text
    assert "versions    python 3.11.7, torch 2.13.0\n" in text
    assert "machine     processor AMD EPYC, cores 2, threads 1, system Linux x86_64\n" in text
    assert "networks    4 of 8\n" in text
    assert "note naïve 中文" in text
    rows = [line.split() for line in lines[lines.index("") + 1 :]]
    summary = [row for row in rows if row[:1] in (["10"], ["20"])]
    assert [(row[0], row[1], row[2], row[-1]) for row in summary] == [
        ("10", "srn", "1", "1"),
        ("10", "lstm", "1", "0"),
        ("20", "srn", "1", "0"),
        ("20", "lstm", "1", "1"),
    ]
    assert summary[1][3:8] == ["94%", "100%", "21%", "to", "100%"]
    assert "solved: the share of the seeds with an accuracy of at least 90% on test" in lines


def test_show_has_intervals(tmp_path):
    make(tmp_path, results=[scored("srn", seed, test) for seed, test in enumerate([0.5, 0.7, 0.8, 0.95])])
    (row,) = [line.split() for line in invoke("show", tmp_path).stdout.splitlines() if line.startswith("10 ")]
    assert row == ["10", "srn", "4", "74%", "44%", "to", "100%", "25%", "5%", "to", "70%"]


def test_show_a_run_judged_by_squared_error(tmp_path):
    settings = {**RUN.settings, "metric": "mse", "threshold": 0.02}
    make(tmp_path, replace(RUN, settings=settings), [scored("srn", 0, 0.0125), scored("srn", 1, 1.5)])
    shown = invoke("show", tmp_path).stdout
    assert "test: mean squared error, the mean over the best models" in shown
    assert " 0.76 " in shown
    assert "solved: the share of the seeds with a mean squared error of at most 0.02 on test\n" in shown


def test_show_as_json(here):
    document = strict(invoke("show", "runs/first", "--json").stdout)
    summary = document.pop("summary")
    assert document == {"folder": "runs/first", **asdict(RUN), "networks": 4, "planned": 8}
    assert [(row["length"], row["cell"], row["test"], row["diverged"]) for row in summary] == [
        (10, "srn", None, 1),
        (10, "lstm", 0.9375, 0),
        (20, "srn", 0.125, 0),
        (20, "lstm", 0.1, 1),
    ]


def test_show_a_run_that_has_just_begun(tmp_path):
    make(tmp_path, results=[])
    shown = invoke("show", tmp_path).stdout
    assert shown.rstrip().endswith("networks    0 of 8")
    assert strict(invoke("show", tmp_path, "--json").stdout)["summary"] == []


# compare


@pytest.fixture
def two(tmp_path):
    a = [scored("srn", seed, 0.5 + seed / 100) for seed in range(4)] + [scored("lstm", 0, 0.5)]
    b = [scored("srn", seed, 0.75 + seed / 50) for seed in range(1, 5)]
    make(tmp_path / "a", results=a)
    changed = {
        "settings": {**RUN.settings, "clip_norm": 1.0, "cells": ["srn"], "data": "[b]"},
        "versions": {"python": "3.12.0"},
    }
    make(tmp_path / "b", replace(RUN, **changed), b)
    return tmp_path / "a", tmp_path / "b"


def test_compare(two, monkeypatch):
    monkeypatch.chdir(two[0].parent)
    lines = invoke("compare", "a", "b").stdout.splitlines()
    assert lines[:2] == ["A: a, 2026-01-31 12:00 UTC", "B: b, 2026-01-31 12:00 UTC"]
    assert [line.split() for line in lines[3:9]] == [
        ["differing", "A", "B"],
        ["cells", "srn", "lstm", "srn"],
        ["clip_norm", "-", "1.0"],
        ["data", "-", "[b]"],
        ["python", "3.11.7", "3.12.0"],
        ["torch", "2.13.0", "-"],
    ]
    srn, lstm = (next(line for line in lines if line.startswith(f"10      {cell} ")) for cell in ("srn", "lstm"))
    assert srn.split() == ["10", "srn", "52%", "(4)", "80%", "(4)", "+28.5", "3", "+27.0", "+24.5", "to", "+29.5"]
    assert lstm.split() == ["10", "lstm", "50%", "(1)"]
    assert lines[-1] == "A, B: mean accuracy on test (of how many networks); B - A: percentage points"
    assert max(map(len, lines)) <= 80


def test_compare_as_json(two):
    document = strict(invoke("compare", *two, "--json").stdout)
    assert document["settings"]["clip_norm"] == {"a": None, "b": 1.0}
    assert document["versions"]["python"] == {"a": "3.11.7", "b": "3.12.0"}
    assert document["machine"] == {}
    srn, lstm = document["comparison"]
    assert (srn["count_a"], srn["count_b"], srn["pairs"]) == (4, 4, 3)
    assert math.isclose(srn["difference"], 0.285)
    assert math.isclose(srn["paired_difference"], 0.27)
    assert srn["paired_low"] < 0.27 < srn["paired_high"]
    assert (lstm["b"], lstm["difference"], lstm["paired_low"], lstm["p_value"]) == (None, None, None, None)


def test_compare_a_run_with_a_copy_of_it(here):
    shutil.copytree("runs/first", "copy")
    assert "Settings, versions and machine are the same." in invoke("compare", "runs/first", "copy").stdout


# export


def test_export_to_standard_output(here):
    table = pl.read_csv(io.StringIO(invoke("export", "runs/first").stdout))
    assert table["cell"].to_list() == ["srn", "lstm", "srn", "lstm"]  # by length, and as the settings name them
    assert table["test"].to_list() == [None, 0.9375, 0.125, 0.1]
    rows = strict(invoke("export", "runs/first", "--format", "json").stdout)
    assert [row["dev"] for row in rows] == [None, 1.0, 0.25, 0.1]
    curves = pl.read_csv(io.StringIO(invoke("export", "runs/first", "--curves").stdout))
    assert curves.columns == ["cell", "length", "seed", "step", "train_loss", "dev_loss", "dev"]
    assert len(curves) == 5


@pytest.mark.parametrize(
    ("name", "options", "read"),
    [
        ("x.csv", [], pl.read_csv),
        ("x.parquet", [], pl.read_parquet),
        ("x.json", [], pl.read_json),
        ("x.txt", [], pl.read_csv),
        ("x.csv", ["--format", "parquet"], pl.read_parquet),
    ],
)
def test_export_to_a_file(here, name, options, read):
    assert invoke("export", "runs/first", "--out", name, *options).output == ""
    assert read(here / name)["test"].to_list() == [None, 0.9375, 0.125, 0.1]


# Refusals, help, pipes.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list", "nowhere"], "there is no folder 'nowhere'"),
        (["show", "nowhere"], "nowhere is not the folder of a run: there is no run.sqlite in it"),
        (["show", "runs"], "runs is not the folder of a run: there is no run.sqlite in it"),
        (
            ["show", "runs/broken"],
            "runs/broken/run.sqlite is damaged, or not the file of a run: file is not a database",
        ),
        (["compare", "runs/first", "nowhere"], "nowhere is not the folder of a run: there is no run.sqlite in it"),
        (["export", "nowhere"], "nowhere is not the folder of a run: there is no run.sqlite in it"),
        (["export", "runs/first", "--format", "xls"], "no format is called 'xls'; there are: csv, json, parquet"),
        (
            ["export", "runs/first", "--format", "parquet"],
            "parquet is not text: say with --out which file it goes to",
        ),
    ],
)
def test_refusals(capsys, monkeypatch, here, arguments, sentence):
    assert refuse(capsys, monkeypatch, *arguments) == sentence
    assert sorted(path.name for path in (here / "runs" / "first").iterdir()) == [FILE]


def test_a_file_that_cannot_be_written(capsys, monkeypatch, here):
    assert "No such file or directory" in refuse(capsys, monkeypatch, "export", "runs/first", "--out", "nowhere/x.csv")


def test_two_measures_cannot_be_compared(capsys, monkeypatch, here):
    make(here / "squares", replace(RUN, settings={"metric": "mse", "threshold": 0.01}))
    assert refuse(capsys, monkeypatch, "compare", "runs/first", "squares") == (
        "runs/first is judged by accuracy, squares by mean squared error: the two cannot be compared"
    )


@pytest.mark.parametrize("command", ["list", "show", "compare", "export"])
def test_help_has_examples(command):
    assert f"ostinato runs {command}" in invoke("--help").stdout
    assert invoke(command, "--help").stdout.count(f"ostinato runs {command}") >= 2


def test_in_a_pipe_no_line_is_broken(here):
    long = here / ("long " * 30)
    make(long, results=[scored("srn", 0, 0.5)])
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    out = subprocess.run([*PROGRAM, "runs", "show", long], env=environment, capture_output=True, text=True).stdout
    (settings,) = [line for line in out.splitlines() if line.startswith("settings")]
    assert "clip_norm -" in settings
    assert "lengths 10 20" in settings


def test_a_reader_that_has_seen_enough(tmp_path):
    make(tmp_path, results=[scored("srn", seed, 0.5) for seed in range(3000)])
    with subprocess.Popen(
        [*PROGRAM, "runs", "export", tmp_path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline().startswith("cell,length,seed")
        process.stdout.close()
        assert process.stderr.read() == ""


@pytest.mark.parametrize("arguments", [["list"], ["show", "runs/first"], ["export", "runs/first"]], ids=lambda a: a[0])
def test_nothing_slow_is_imported(here, arguments):
    program = (
        f"import sys; sys.argv = ['ostinato', 'runs', *{arguments!r}]\n"
        "from ostinato.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numba', 'altair', 'polars', 'scipy') if name in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert out.splitlines()[-1] == ("[]" if arguments == ["list"] else "['polars', 'scipy']")
