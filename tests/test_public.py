"""The public names, the order of the layers, and what a release promises."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import ostinato

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", ostinato.__all__)
def test_every_public_name_is_there(name):
    assert getattr(ostinato, name) is not None


def test_the_decorator_stays_the_decorator_whatever_is_imported():
    import ostinato.scan

    @ostinato.cell(gates="a", state="h")
    def echo(a, h):
        return ostinato.tanh(a) + 0.5 * h

    assert isinstance(echo, ostinato.Cell)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'ostinato' has no attribute 'lstn'"):
        _ = ostinato.lstn


def test_layers_import_downwards_only():
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    run = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_the_changelog_knows_this_version():
    assert f"## {version('ostinato')}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_examples_of_the_readme_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    namespace: dict = {}
    for block in blocks:
        exec(block.replace("epochs=20", "epochs=1"), namespace)
    assert namespace["ours"].ran_on == "cpu"
    assert (tmp_path / "runs" / "mine" / "best.safetensors").is_file()
