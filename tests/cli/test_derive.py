import json
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from ostinato.cell import Cell
from ostinato.cells import CELLS
from ostinato.cli.cells import find_cell
from ostinato.cli.derive import as_json, derive
from ostinato.derive.latex import latex
from ostinato.derive.numba_source import kernel_source
from ostinato.derive.reference import step_source
from ostinato.derive.text import backward_text, forward_text, printed_width
from ostinato.derive.worked_text import worked_text
from ostinato.errors import DataError, DefinitionError

MINE = '''
from ostinato.cell import cell
from ostinato.expr import sigmoid, tanh


@cell(gates="f g", state="h")
def mgu(f, g, h):
    """Ein Gatter — une porte."""
    f = sigmoid(f)
    return (1 - f) * h + f * tanh(g)


@cell(gates="a", state="h")
def pole(a, h):
    return a / h


number = 3
'''


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(MINE, encoding="utf-8")
    return path


def run(*arguments: str) -> str:
    app = typer.Typer()
    app.command()(derive)
    result = CliRunner(env={"COLUMNS": "80", "FORCE_COLOR": None}).invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


# What is shown.


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_everything_is_shown_on_80_columns(cell):
    shown = run(cell.name)
    for text in (forward_text(cell), backward_text(cell), worked_text(cell)):
        assert text in shown
    assert max(map(printed_width, shown.splitlines())) <= 80
    assert [title for title in ("Equations ─", "Adjoint ─", "Worked example ─") if title not in shown] == []


def test_one_thing_alone():
    lstm = CELLS["lstm"]
    assert run("lstm", "--latex") == latex(lstm)
    assert run("lstm", "--torch") == step_source(lstm)
    assert run("lstm", "--numba") == kernel_source(lstm)


def test_the_cost_table():
    sizes = ["--batch", "128", "--steps", "256", "--input-size", "256", "--hidden-size", "256"]
    shown = run("lstm", "--cost", *sizes)
    assert "34,359,738,368" in shown
    assert f"{6 * 2 * 32768 * 1024 * 256:,}" in shown
    assert "population 1, steps 256, batch 128, input size 256, hidden size 256" in shown


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_json(cell):
    found = json.loads(run(cell.name, "--json"))
    assert found == as_json(cell)
    assert found["cell"] == cell.name
    assert found["gates"] == {gate.name: gate.kind for gate in cell.gates}
    assert "h[t]" in found["equations"]
    assert "Dh[t-1]" in found["adjoint"]
    assert len(found["example"]["steps"]) == 2


def test_json_has_no_number_that_json_lacks(mine):
    found = json.loads(run(f"{mine}:pole", "--json"), parse_constant=pytest.fail)
    assert found["example"]["steps"][0]["values"]["h"] == [None, None]


def test_help_has_examples():
    shown = run("--help")
    assert "ostinato derive lstm" in shown
    assert "mycells.py:mgu" in shown


def test_two_things_at_once():
    with pytest.raises(DataError, match=r"^--latex and --cost ask for different things: choose one of them$"):
        run("lstm", "--cost", "--latex")


def test_a_terminal_that_knows_only_ascii(mine):
    script = f"from ostinato.cli.derive import derive; derive({str(mine) + ':mgu'!r})"
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "PATH": "", "COLUMNS": "80"},
        capture_output=True,
        check=True,
    ).stdout.decode("ascii")
    assert "f[t]  = sigmoid(f~[t])" in shown
    assert "Ein Gatter ? une porte." in shown


def test_help_does_not_import_torch():
    script = (
        "import sys, typer; from ostinato.cli.derive import derive; app = typer.Typer(); app.command()(derive)\n"
        "try: app(['--help'])\n"
        "except SystemExit: assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


# Whose cell.


def test_a_cell_of_the_library():
    assert find_cell("gru") is CELLS["gru"]


def test_a_cell_of_ones_own(mine):
    found = find_cell(f"{mine}:mgu")
    assert isinstance(found, Cell)
    assert found.name == "mgu"
    assert forward_text(found) in run(f"{mine}:mgu")


def refused(text: str) -> str:
    with pytest.raises(DataError) as caught:
        find_cell(text)
    assert "\n" not in str(caught.value)
    return str(caught.value)


NAMES = f"{', '.join(CELLS)}, and your own as path/to/file.py:name"


def test_an_unknown_cell():
    assert refused("transformer") == f"no cell is called 'transformer': there are {NAMES}"


@pytest.mark.parametrize(("text", "meant"), [("LSTM", "lstm"), ("peephole", "peephole_lstm"), ("grru", "gru")])
def test_a_name_that_is_nearly_right(text, meant):
    assert refused(text) == f"no cell is called '{text}': did you mean '{meant}'? There are {NAMES}"


def test_no_such_file(tmp_path):
    path = tmp_path / "nothing.py"
    assert refused(f"{path}:mgu") == f"there is no file '{path}'"
    assert refused(str(path)) == f"there is no file '{path}'"
    assert refused(f"{tmp_path}:mgu") == f"there is no file '{tmp_path}'"


def test_no_such_name(mine):
    assert refused(f"{mine}:lstm") == f"'{mine}' defines no 'lstm'; its cells are: mgu, pole"


def test_no_name(mine):
    message = f"'{mine}' needs the name of a cell, as in {mine}:mgu; its cells are: mgu, pole"
    assert refused(str(mine)) == refused(f"{mine}:") == message


def test_no_cell(mine):
    assert refused(f"{mine}:number") == f"'number' in '{mine}' is of type int, not a cell; its cells are: mgu, pole"
    assert refused(f"{mine}:tanh") == f"'tanh' in '{mine}' is of type function, not a cell; its cells are: mgu, pole"


def test_a_file_without_cells(tmp_path):
    path = tmp_path / "empty.py"
    path.write_text("")
    assert refused(f"{path}:mgu") == f"'{path}' defines no 'mgu'; it has no cell at all"
    assert refused(str(path)) == f"'{path}' needs the name of a cell, as in {path}:name; it has no cell at all"


@pytest.mark.parametrize(
    ("source", "line", "error"),
    [
        ("x = 1\nimport nothing_like_it", 2, "ModuleNotFoundError: No module named 'nothing_like_it'"),
        ("def f():\n    return 1 / 0\nf()", 2, "ZeroDivisionError: division by zero"),
        ("x = 1\n\nx = (", None, "SyntaxError: '(' was never closed (broken.py, line 3)"),
        ("raise SystemExit(3)", 1, "SystemExit: 3"),
    ],
)
def test_a_file_that_does_not_run(tmp_path, source, line, error):
    path = tmp_path / "broken.py"
    path.write_text(source)
    where = f", line {line}" if line else ""
    assert refused(f"{path}:mgu") == f"'{path}'{where} does not run: {error}"


def test_a_malformed_definition_speaks_for_itself(tmp_path):
    path = tmp_path / "malformed.py"
    path.write_text("from ostinato.cell import cell\n@cell(gates='a', state='h')\ndef bad(a, h):\n    return a ** h\n")
    with pytest.raises(DefinitionError, match=r"cell 'bad', .*malformed.py:4: \*\* is not one"):
        find_cell(f"{path}:bad")
