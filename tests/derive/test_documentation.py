"""docs/derivation.md shows what is generated now. Rewrite: OSTINATO_REWRITE=1 pytest tests/derive."""

import doctest
import inspect
import io
import re
from pathlib import Path

from rich.console import Console

from ostinato.cells import lstm
from ostinato.cli.derive import show_cost
from ostinato.derive.latex import forward_latex
from ostinato.derive.numba_source import kernel_source
from ostinato.derive.reference import step_source
from ostinato.derive.text import backward_text, forward_text
from ostinato.derive.worked_text import worked_text

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "derivation.md"
SIZES = {"population": 1, "steps": 256, "batch": 128, "input_size": 256, "hidden_size": 256}
BLOCK = re.compile(r"(?<=<!-- generated: )(?P<name>\w+)( -->\n```\w+\n)(?P<body>.*?)(?=```\n)", flags=re.S)


def definition() -> str:
    return (ROOT / "src" / "ostinato" / "cells" / "lstm.py").read_text(encoding="utf-8")


def arithmetic() -> str:
    functions = kernel_source(lstm).split("\n\n\n")
    return "\n\n\n".join(f for f in functions if "def forward_at(" in f or "def backward_at(" in f)


def cost_table() -> str:
    page = io.StringIO()
    show_cost(Console(file=page, width=80, force_terminal=False, color_system=None), lstm, SIZES)
    return page.getvalue()


GENERATED = {
    "definition": definition,
    "equations": lambda: forward_text(lstm),
    "latex": lambda: forward_latex(lstm),
    "reference": lambda: step_source(lstm),
    "adjoint": lambda: backward_text(lstm),
    "kernel": arithmetic,
    "cost": cost_table,
    "example": lambda: worked_text(lstm),
}


def test_the_page_shows_what_is_generated_now(same_as_file):
    page = PAGE.read_text(encoding="utf-8")
    assert [match["name"] for match in BLOCK.finditer(page)] == list(GENERATED)
    now = BLOCK.sub(lambda match: f"{match[1]}{match[2]}{GENERATED[match['name']]().strip()}\n", page)
    same_as_file(PAGE, now)


def test_the_examples_on_the_page_run():
    examples = "".join(re.findall(r"```pycon\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S))
    test = doctest.DocTestParser().get_doctest(examples, {}, PAGE.name, str(PAGE), 0)
    failed, tried = doctest.DocTestRunner().run(test)
    assert tried >= 4
    assert failed == 0


def test_the_examples_in_the_docstrings_run():
    from ostinato.derive import latex, text

    for module in (latex, text):
        failed, tried = doctest.testmod(module)
        assert tried >= 2, inspect.getfile(module)
        assert failed == 0
