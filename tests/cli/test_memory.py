"""`ostinato memory` as a user types it: answers, refusals, interruption, going on."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import asdict

import pytest
from typer.testing import CliRunner

import ostinato.cli
from ostinato.cli import app
from ostinato.lab import memory
from ostinato.lab.recipe import Settings
from ostinato.tasks import TASKS, DigitSum

FAST = ["--steps", 4, "--seeds", 2, "--hidden-size", 4]
MINE = """
from ostinato import cell, tanh
@cell(gates="g", state="h")
def mine(g, h):
    return tanh(g)
"""


def invoke(*arguments, columns=None):
    runner = CliRunner(env={"COLUMNS": columns, "FORCE_COLOR": None})
    return runner.invoke(app, ["memory", *map(str, arguments)])


def run(*arguments, columns=None):
    result = invoke(*arguments, columns=columns)
    assert result.exit_code == 0, result.output
    return result


def strict(text):
    return json.loads(text, parse_constant=pytest.fail)


def refuse(capsys, monkeypatch, *arguments):
    """The one sentence on stderr that `main` ends with."""
    monkeypatch.setattr(sys, "argv", ["ostinato", "memory", *map(str, arguments)])
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            ostinato.cli.main()
    finally:
        signal.signal(signal.SIGINT, before)
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("ostinato: ")
    assert err.count("\n") == 1
    return err.removeprefix("ostinato: ").rstrip()


# Answers.


def test_table_report_and_models(tmp_path):
    folder = tmp_path / "my run"
    result = run("--cells", "srn", "lstm", "--lengths", 4, 5, *FAST, "--workers", 1, "--out", folder)
    results = memory.finished(folder)
    lines = result.stdout.splitlines()
    assert lines[0].split()[:2] == ["length", "cell"]
    for line, (cell, length) in zip(lines[1:5], [("srn", 4), ("lstm", 4), ("srn", 5), ("lstm", 5)], strict=True):
        tests = [r.test for r in results if (r.cell, r.length) == (cell, length)]
        words = line.split()
        assert words[:3] == [str(length), cell, "2"]
        assert abs(int(words[3].rstrip("%")) - 50 * sum(tests)) <= 0.5001
    assert f"report: {folder / 'report.html'}" in lines
    assert f"every number: ostinato runs export {shlex.quote(str(folder))}" in lines
    assert (folder / "report.html").exists()
    assert (folder / "models" / "lstm-5-seeds-0-to-1.safetensors").exists()
    assert result.stderr.splitlines()[-1].startswith("100%, done; srn, length 4: dev ")
    assert run("--cells", "srn", "lstm", "--lengths", 4, 5, *FAST, "--out", folder).stderr == (
        f"Every network of this run was in {folder} already: nothing was trained.\n"
    )
    assert memory.finished(folder) == results


def test_json_is_all_of_stdout_and_has_no_number_that_is_none(tmp_path):
    diverging = ["--cells", "srn_relu", "srn", "--learning-rate", 1e30, "--seed", 3]
    result = run(*diverging, *FAST, "--lengths", 4, "--evaluate-every", 2, "--json", "--workers", 1, "--out", tmp_path)
    document = strict(result.stdout)
    assert document["settings"]["seed"] == 3
    assert document["folder"] == str(tmp_path)
    assert document["report"] == str(tmp_path / "report.html")
    assert document["interrupted"] is False
    expected = [{k: v for k, v in asdict(r).items() if k != "curve"} for r in memory.finished(tmp_path)]
    for row, r in zip(document["results"], expected, strict=True):
        assert row == (r if r["cell"] == "srn" else {**r, "dev": None, "test": None})
    assert [row["status"] for row in document["results"]] == ["diverged", "diverged", "finished", "finished"]
    assert "diverged" in run(*diverging, *FAST, "--lengths", 4, "--evaluate-every", 2, "--out", tmp_path).stdout


@pytest.fixture
def asked(monkeypatch):
    """What would be run: settings, folder, cells of one's own and workers of every call."""
    calls = []

    def stop(settings, folder, own, progress, workers):
        calls.append((settings, str(folder), own, workers))
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, "run", stop)
    return calls


def test_without_options_it_is_the_recipe(asked):
    assert invoke().exit_code == 130
    settings, folder, own, workers = asked[0]
    assert settings == Settings.of()
    assert re.fullmatch(r"runs/memory-\d{8}-\d{6}", folder)
    assert list(own) == ["srn", "lstm"]
    assert workers >= 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cells", "srn", "gru", "--lengths", 4, 5],
        ["--cells", "srn", "--cells", "gru", "--lengths", 4, "--lengths", 5],
        ["--cells=srn", "gru", "--lengths=4", 5],
        ["--cells", "srn", "--lengths", 4, "--cells", "gru", "--lengths", 5],
    ],
)
def test_several_values_after_one_flag(asked, arguments):
    invoke(*arguments, "--workers", 3)
    assert (asked[0][0].cells, asked[0][0].lengths, asked[0][3]) == (("srn", "gru"), (4, 5), 3)


def test_a_cell_of_ones_own(asked, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    invoke("--cells", f"{tmp_path / 'mine.py'}:mine", "srn")
    assert [cell.name for cell in asked[0][2].values()] == ["mine", "srn"]


@pytest.mark.parametrize(
    ("arguments", "field", "value"),
    [
        (["--epochs", 2], "steps", 2 * 38),
        (["--epochs", 2, "--batch-size", 100], "steps", 2 * 3),
        (["--epochs", 2, "--lengths", 4, "--data", "data"], "steps", 2 * 13),  # of 100 sequences, not 300
        (
            ["--task", "digits", "--epochs", 1, "--batch-size", 1],
            "steps",
            len(TASKS["digits"].data(64, 0).train.targets),
        ),
        (["--clip-norm", "0.5"], "clip_norm", 0.5),
        (["--task", "adding"], "clip_norm", 1.0),
        (["--task", "adding", "--clip-norm", "none"], "clip_norm", None),
    ],
)
def test_how_a_network_is_trained(asked, tmp_path, monkeypatch, arguments, field, value):
    monkeypatch.chdir(tmp_path)
    DigitSum.generate(4, copies=1).write(tmp_path / "data" / "4")
    assert invoke(*arguments).exit_code == 130
    assert getattr(asked[0][0], field) == value


# Refusals.


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--task", "sums"], "no task is called 'sums'; there are: digit-sum, "),
        (["--cells", "srn", "lstn"], "no cell is called 'lstn': did you mean 'lstm'? There are srn, "),
        (["--cells", "mine.py:mine"], "there is no file 'mine.py'"),
        (["--cells", "srn", "srn"], "'srn' is there twice among the cells; once is enough"),
        (["--lengths", 2], "length 2 is too short for digit-sum: it takes at least 3"),
        (["--seeds", 0], "seeds is 0; it must be at least 1"),
        (["--seed", -1], "the seed is -1; it must be from 0 to "),
        (["--seed", 99999999999999999999], "the seed is 99999999999999999999; it must be from 0 to "),
        (["--steps", 0], "steps is 0; it must be at least 1"),
        (["--epochs", 0], "epochs is 0; it must be at least 1"),
        (["--epochs", 2, "--steps", 3], "--epochs 2 and --steps 3 are two ways to say one thing: give one of them"),
        (["--epochs", 2, "--batch-size", -1], "batch size is -1; it must be at least 1"),
        (["--task", "adding", "--epochs", 2], "adding has new sequences in every batch, so it has no epochs: give "),
        (["--clip-norm", "some"], "--clip-norm is 'some'; it must be a number, or none"),
        (["--clip-norm", "-1"], "clip norm is -1.0; it must be above 0"),
        (["--learning-rate", "nan"], "learning rate is nan; it must be above 0"),
        (["--data", "nowhere"], "nowhere/10/train.txt: No such file"),
        (["--task", "recall", "--data", "nowhere"], "data files are those of digit-sum; recall draws its own"),
    ],
)
def test_refusals(capsys, monkeypatch, tmp_path, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    assert refuse(capsys, monkeypatch, *arguments).startswith(sentence)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--cells"], "--cells takes one value or more"),
        (["--cells", "--epochs", 3], "--cells takes one value or more"),
        (["--lengths", -5], "--lengths takes one value or more"),
        (["--lengths", "ten"], "--lengths"),
        (["--workers", 0], "--workers"),
        (["--sedes", 3], "--sedes"),
    ],
)
def test_options_that_cannot_be_read(arguments, words):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "Traceback" not in result.stderr


def test_epochs_of_different_lengths(capsys, monkeypatch, tmp_path):
    DigitSum.generate(4, copies=1).write(tmp_path / "4")
    DigitSum.generate(5, copies=2).write(tmp_path / "5")
    refused = refuse(capsys, monkeypatch, "--lengths", 4, 5, "--epochs", 2, "--data", tmp_path)
    assert refused.endswith(f"{tmp_path} has from 100 to 200 training sequences: give --steps")


def test_a_wrong_data_file_is_named_with_its_line(capsys, monkeypatch, tmp_path):
    DigitSum.generate(4).write(tmp_path / "4")
    (tmp_path / "4" / "dev.txt").write_text("1 2 0 0\t3\n1 2 0 0\t4\n")
    refused = refuse(capsys, monkeypatch, "--lengths", 4, "--data", tmp_path, "--out", tmp_path / "run")
    assert f"{tmp_path / '4' / 'dev.txt'}, line 2: the label is '4'" in refused


def test_folders_that_cannot_be_taken(capsys, monkeypatch, tmp_path):
    arguments = ["--cells", "srn", "--lengths", 4, *FAST, "--out", tmp_path / "run"]
    run(*arguments)
    refused = refuse(capsys, monkeypatch, *arguments, "--batch-size", 3)
    assert refused.startswith(f"{tmp_path / 'run'} holds a run with batch size 8, not 3: continue it")
    (tmp_path / "thesis.tex").touch()
    for folder in (tmp_path, tmp_path / "thesis.tex"):
        refused = refuse(capsys, monkeypatch, "--out", folder)
        assert refused == f"{folder} is there already and is not the folder of a run: choose another, or an empty one"
    refused = refuse(capsys, monkeypatch, "--out", tmp_path / "thesis.tex" / "run")
    assert refused == f"{tmp_path / 'thesis.tex' / 'run'}: Not a directory"


# Interruption.


def test_an_interruption_in_json_too(asked, tmp_path):
    result = invoke(*FAST, "--json", "--out", tmp_path / "my runs")
    assert result.exit_code == 130
    document = strict(result.stdout)
    assert (document["interrupted"], document["results"], document["report"]) == (True, [], None)
    command = f"{asked[0][0].command()} --out '{tmp_path / 'my runs'}'"
    assert result.stderr == f"Interrupted with 0 of 24 networks finished. To continue: {command}\n"


@pytest.mark.slow
def test_ctrl_c_on_a_terminal_while_workers_start_and_going_on(tmp_path):
    """A terminal sends it to every process; what it ends with is the command that goes on."""
    arguments = ["--cells", "srn", "lstm", "--lengths", "4", "--steps", "40", "--seeds", "2", "--out", "run"]
    program = [sys.executable, "-c", "from ostinato.cli import main; main()", "memory", *arguments, "--workers", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(program, cwd=tmp_path, start_new_session=True, **pipes)
    while process.poll() is None and not (tmp_path / "run" / "training").exists():
        time.sleep(0.01)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (130, ""), err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("Interrupted with 0 of 4 networks finished. ")]
    again = shlex.split(line.partition("To continue: ")[2])
    assert again[:2] == ["ostinato", "memory"]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        assert run(*again[2:], "--json", "--workers", 1).exit_code == 0
    assert len(memory.finished(tmp_path / "run")) == 4


# Help.


def test_help_teaches_and_imports_nothing_slow(tmp_path):
    program = (
        "import sys; sys.argv = ['ostinato', 'memory', '--help']\n"
        "from ostinato.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numba', 'polars', 'altair') if name in sys.modules])"
    )
    environment = {**os.environ, "COLUMNS": "80"}
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    ).stdout
    assert out.splitlines()[-1] == "[]"
    assert max(map(len, out.splitlines())) <= 80
    words = " ".join(out.split())
    assert all(re.search(rf"\b{task}\b", words) for task in TASKS)
    assert "ostinato memory --cells srn gru lstm --lengths 10 20" in words
    assert "goes on with the same command and the same --out" in words


def test_version_and_commands():
    assert CliRunner().invoke(app, ["--version"]).stdout.startswith("ostinato 0.")
    commands = CliRunner().invoke(app, ["--help"]).stdout
    assert all(name in commands for name in ("memory", "derive", "runs"))
