"""`ostinato memory` as a user types it: answers, refusals, interruption, going on."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

import ostinato.cli
from ostinato.cli import app
from ostinato.lab.memory import Settings
from ostinato.tasks import DigitSum
from ostinato.train import History, read_record

FAST = ["memory", "--epochs", "1"]


def invoke(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def start(*arguments, cwd):
    """The real program, in a process of its own."""
    program = [sys.executable, "-c", "from ostinato.cli import main; main()", *map(str, arguments)]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        program, cwd=cwd, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def refuse(capsys, monkeypatch, *arguments):
    """The one sentence on stderr that `main` ends with."""
    monkeypatch.setattr(sys, "argv", ["ostinato", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        ostinato.cli.main()
    out, err = capsys.readouterr()
    assert (ended.value.code, out) == (2, "")
    assert err.startswith("ostinato: ")
    assert err.count("\n") == 1
    return err


def test_table_report_and_models(tmp_path):
    result = invoke(*FAST, "--cells", "srn", "lstm", "--lengths", 4, 5, "--out", tmp_path / "run")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split() == ["length", "cell", "dev", "test", "best", "step", "seconds"]
    for line, names in zip(lines[1:5], ["4 srn", "4 lstm", "5 srn", "5 lstm"], strict=True):
        length, cell, dev, test, step, _ = line.split()
        assert f"{length} {cell}" == names
        stored = json.loads((tmp_path / "run" / f"{cell}-{length}" / "result.json").read_text())
        assert (dev, test, step) == (f"{stored['dev_accuracy']:.0%}", f"{stored['test_accuracy']:.0%}", "38")
        assert (tmp_path / "run" / f"{cell}-{length}" / "best.safetensors").exists()
    assert f"report: {tmp_path / 'run' / 'report.html'}" in result.stdout
    assert "best.safetensors" in result.stdout
    assert "lstm, length 5, network 4 of 4" in result.stderr
    assert "100% of the work" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["--cells", "srn", "gru", "--lengths", "4", "5"],
        ["--cells", "srn", "--cells", "gru", "--lengths", "4", "--lengths", "5"],
        ["--cells=srn", "gru", "--lengths=4", "5"],
        ["--cells", "srn", "--lengths", "4", "--cells", "gru", "--lengths", "5"],
    ],
)
def test_several_values_after_one_flag(tmp_path, arguments):
    result = invoke(*FAST, *arguments, "--json", "--out", tmp_path)
    assert result.exit_code == 0, result.output
    settings = json.loads(result.stdout)["settings"]
    assert (settings["cells"], settings["lengths"], settings["epochs"]) == (["srn", "gru"], [4, 5], 1)


@pytest.mark.parametrize(
    "arguments", [["--cells"], ["--cells", "--epochs", "3"], ["--lengths", "4", "--cells", "--json"]]
)
def test_a_flag_without_a_value(arguments):
    result = invoke("memory", *arguments)
    assert result.exit_code == 2
    assert "--cells takes one value or more" in result.output


def test_without_options_it_is_the_recipe(monkeypatch):
    seen = []

    def run(settings, folder, progress):
        seen.append((settings, str(folder)))
        raise KeyboardInterrupt

    monkeypatch.setattr("ostinato.lab.memory.run", run)
    assert invoke("memory").exit_code == 130
    settings, folder = seen[0]
    assert settings == Settings()
    assert folder.startswith("runs/memory-20")


def test_json_is_all_of_stdout(tmp_path):
    result = invoke(*FAST, "--cells", "srn", "--lengths", 4, "--seed", 3, "--json", "--out", tmp_path)
    document = json.loads(result.stdout)
    assert document["settings"]["seed"] == 3
    assert document["results"] == [json.loads((tmp_path / "srn-4" / "result.json").read_text())]
    assert document["report"] == str(tmp_path / "report.html")
    assert document["interrupted"] is False


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--cells", "srn", "elman"], "no cell is called 'elman'; there are: srn, srn_relu, "),
        (["--lengths", "2"], "length 2 is too short"),
        (["--lengths", "-5"], "--lengths takes"),
        (["--epochs", "0"], "epochs is 0; it must be at least 1"),
        (["--seed", "-1"], "the seed is -1"),
        (["--cells", "srn", "srn"], "'srn' is there twice among the cells"),
        (["--data", "nowhere"], "nowhere/10/train.txt: No such file"),
    ],
)
def test_refusals(capsys, monkeypatch, tmp_path, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    if sentence.startswith("--"):
        assert sentence in invoke("memory", *arguments).output
    else:
        assert sentence in refuse(capsys, monkeypatch, "memory", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_data_file_is_named_with_its_line(capsys, monkeypatch, tmp_path):
    from ostinato.tasks import DigitSum

    DigitSum.generate(4).write(tmp_path / "4")
    (tmp_path / "4" / "dev.txt").write_text("1 2 0 0\t3\n1 2 0 0\t4\n")
    error = refuse(capsys, monkeypatch, "memory", "--lengths", 4, "--data", tmp_path, "--out", tmp_path / "run")
    assert f"{tmp_path / '4' / 'dev.txt'}, line 2: the label is '4'" in error


def test_a_folder_of_another_run(capsys, monkeypatch, tmp_path):
    arguments = ["--cells", "srn", "--lengths", 4, "--out", tmp_path]
    assert invoke(*FAST, *arguments).exit_code == 0
    assert "holds a run with epochs 1, not 2" in refuse(capsys, monkeypatch, "memory", *arguments, "--epochs", 2)


def test_data_that_changed_between_two_calls(capsys, monkeypatch, tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    DigitSum.generate(4, seed=0).write(data / "4")
    arguments = [*FAST, "--cells", "srn", "--lengths", 4, "--data", data, "--out", out]
    assert invoke(*arguments).exit_code == 0
    again = invoke(*arguments)
    assert "nothing was trained" in again.output
    DigitSum.generate(4, seed=1).write(data / "4")
    assert "trained on other data" in refuse(capsys, monkeypatch, *arguments)


def test_a_seed_that_no_generator_takes(capsys, monkeypatch):
    assert "the seed is 99999999999999999999; it must be from 0 to" in refuse(
        capsys, monkeypatch, *FAST, "--seed", 99999999999999999999
    )


def test_a_folder_that_cannot_be_made(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    error = refuse(capsys, monkeypatch, *FAST, "--out", tmp_path / "file" / "run")
    assert error == f"ostinato: {tmp_path / 'file' / 'run'}: Not a directory\n"


def test_ctrl_c_and_going_on(tmp_path):
    arguments = ["memory", "--cells", "srn", "--lengths", 4, 5, "--epochs", 100, "--out", "run"]
    process = start(*arguments, cwd=tmp_path)
    first = tmp_path / "run" / "srn-4" / "result.json"
    second = tmp_path / "run" / "srn-5" / "best.safetensors"
    while process.poll() is None and not second.exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    command = "ostinato memory --cells srn --lengths 4 5 --epochs 100 --seed 0 --out run"
    assert err.endswith(f"Interrupted with 1 of 2 networks finished. To continue: {command}\n")
    assert out.splitlines()[1].split()[:2] == ["4", "srn"]
    assert read_record(History, second.with_name("history.json")).interrupted
    before = first.read_bytes()

    process = start(*command.split()[1:], cwd=tmp_path)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert "network 2 of 2" in err
    assert "network 1 of 2" not in err
    assert first.read_bytes() == before
    assert not read_record(History, second.with_name("history.json")).interrupted
    assert (tmp_path / "run" / "report.html").exists()


def test_ctrl_c_says_where_its_folder_is_in_json_too(monkeypatch, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("ostinato.lab.memory.run", stop)
    result = invoke(*FAST, "--json", "--out", tmp_path / "my runs")
    assert result.exit_code == 130
    document = json.loads(result.stdout)
    assert (document["interrupted"], document["results"], document["report"]) == (True, [], None)
    assert f"--out '{tmp_path / 'my runs'}'" in result.stderr


def test_help_imports_nothing_slow(tmp_path):
    program = (
        "import sys; sys.argv = ['ostinato', 'memory', '--help']\n"
        "from ostinato.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'numba', 'polars', 'altair') if name in sys.modules])"
    )
    out = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout
    assert "ostinato memory --cells srn gru lstm --lengths 10 20" in out
    assert out.splitlines()[-1] == "[]"


def test_version_and_commands():
    assert invoke("--version").stdout.startswith("ostinato 0.")
    help_text = invoke("--help").stdout
    assert "memory" in help_text
    assert "derive" in help_text
