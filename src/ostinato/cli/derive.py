"""`ostinato derive`: everything that follows from the definition of a cell."""

from __future__ import annotations

import itertools
import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError
from .cells import find_cell

if TYPE_CHECKING:
    from rich.console import Console

    from ..cell import Cell

_SIGNS = """\
W x is a matrix times a vector, ⊙ multiplies number by number.
σ(z) = 1 / (1 + exp(-z)). A tilde marks what goes into the activation of a gate.
In torch's names W is weight_ih, U is weight_hh and b is bias_ih + bias_hh."""

_GRADIENTS = """\
∇ is the gradient of the loss with respect to what enters or leaves a step: ∇hₜ
arrives from the output and from step t+1, ∇hₜ₋₁ goes on to step t-1.
δ is the gradient with respect to what is inside the step."""

_BOUNDS = """\
Each number is a lower bound of its own: nothing is computed twice, what goes in
is read once, what comes out is written once. products: of matrices, additions
and multiplications; transcendental: tanh, exp and the like."""


_SIZES = "Sizes for --cost"


def derive(
    cell: Annotated[
        str,
        typer.Argument(metavar="CELL", help="A cell of the library, or path/to/file.py:name.", show_default=False),
    ],
    latex: Annotated[bool, typer.Option("--latex", help="Only the equations and the adjoint, as LaTeX.")] = False,
    torch: Annotated[bool, typer.Option("--torch", help="Only the generated PyTorch reference of one step.")] = False,
    numba: Annotated[bool, typer.Option("--numba", help="Only the generated source of the CPU kernel.")] = False,
    cost: Annotated[bool, typer.Option("--cost", help="Only the operations and bytes of a scan.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Equations and example for a program to read.")] = False,
    population: Annotated[int, typer.Option(min=1, rich_help_panel=_SIZES, help="Networks trained as one.")] = 1,
    batch: Annotated[int, typer.Option(min=1, rich_help_panel=_SIZES, help="Sequences.")] = 8,
    steps: Annotated[int, typer.Option(min=1, rich_help_panel=_SIZES, help="Steps of a sequence.")] = 20,
    input_size: Annotated[int, typer.Option(min=1, rich_help_panel=_SIZES, help="Numbers in x at one step.")] = 32,
    hidden_size: Annotated[int, typer.Option(min=1, rich_help_panel=_SIZES, help="Units.")] = 32,
) -> None:
    """Show what follows from the definition of a cell.

    Its equations, its adjoint, and a small example to be followed by hand.

    Examples:

    ostinato derive lstm

    ostinato derive gru --latex > gru.tex

    ostinato derive lstm --cost --batch 128 --hidden-size 256

    ostinato derive mycells.py:mgu --torch
    """
    from rich.console import Console

    modes = {"--latex": latex, "--torch": torch, "--numba": numba, "--cost": cost, "--json": json}
    chosen = [name for name, wanted in modes.items() if wanted]
    if len(chosen) > 1:
        raise DataError(f"{' and '.join(chosen)} ask for different things: choose one of them")
    console = Console()
    found = find_cell(cell)
    if latex:
        from ..derive.latex import latex as source

        _write(console, source(found))
    elif torch:
        from ..derive.reference import step_source

        _write(console, step_source(found))
    elif numba:
        from ..derive.numba_source import kernel_source

        _write(console, kernel_source(found))
    elif cost:
        sizes = {"steps": steps, "batch": batch, "input_size": input_size, "hidden_size": hidden_size}
        show_cost(console, found, {"population": population, **sizes})
    elif json:
        from json import dumps

        _write(console, dumps(as_json(found), indent=2))
    else:
        _show(console, found)


def _write(console: Console, text: str) -> None:
    """The text as it is, spelled out in ASCII where the terminal lacks a letter of it."""
    from ..derive.text import to_ascii

    console.out(
        text if _can_print(console, text) else to_ascii(text), highlight=False, end="" if text[-1] == "\n" else "\n"
    )


def _can_print(console: Console, text: str) -> bool:
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True


def _show(console: Console, cell: Cell) -> None:
    from ..derive.text import WIDTH, backward_text, forward_text
    from ..derive.worked_text import worked_text

    ascii = not _can_print(console, forward_text(cell) + backward_text(cell) + worked_text(cell))
    console.out(cell.name, style="bold", highlight=False)
    _write(console, "\n".join(textwrap.fill(line, WIDTH) for line in cell.doc.splitlines()) or "No description.")
    for title, blocks in {
        "Equations": [forward_text(cell, ascii=ascii), _SIGNS],
        "Adjoint": [backward_text(cell, ascii=ascii), _GRADIENTS],
        "Worked example": [worked_text(cell, ascii=ascii)],
    }.items():
        console.print()
        console.rule(title, align="left")
        _write(console, "\n" + "\n\n".join(blocks))


def show_cost(console: Console, cell: Cell, sizes: Mapping[str, int]) -> None:
    """The table of `--cost`; `sizes` are the keyword arguments of `ostinato.derive.cost.cost`."""
    from rich.table import Table

    from ..derive.cost import cost

    count = cost(cell, **sizes)
    works = {"forward": count.forward, "backward": count.backward, "both": count.total}
    named = ", ".join(f"{name.replace('_', ' ')} {size}" for name, size in sizes.items())
    _write(console, f"What a scan of {cell.name} has to do at the least, in float32\n{named}")
    table = Table("", *works)
    for column in table.columns[1:]:
        column.justify = "right"
    for name in ("products", "pointwise", "transcendental"):
        table.add_row(name, *(f"{getattr(work, name):,}" for work in works.values()))
    table.add_section()
    table.add_row("bytes", *(f"{work.bytes:,}" for work in works.values()))
    table.add_row("operations a byte", *(f"{work.operations / work.bytes:.1f}" for work in works.values()))
    console.print(table)
    _write(console, _BOUNDS)


def as_json(cell: Cell) -> dict[str, Any]:
    """What `derive` shows, as dictionaries and lists; a number that is not finite is None."""
    from ..derive.equations import backward_rows, forward_rows
    from ..derive.latex import backward_latex, forward_latex
    from ..derive.text import notation
    from ..derive.worked import as_dict, work

    return {
        "cell": cell.name,
        "doc": cell.doc,
        "gates": {gate.name: gate.kind for gate in cell.gates},
        "states": list(cell.states),
        "vectors": list(cell.vectors),
        "recurrence": cell.recurrence,
        "equations": dict(itertools.chain(*forward_rows(cell, notation(ascii=True)))),
        "adjoint": dict(itertools.chain(*backward_rows(cell, notation(ascii=True)))),
        "latex": {"equations": forward_latex(cell), "adjoint": backward_latex(cell)},
        "example": _finite(as_dict(work(cell))),
    }


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return value if math.isfinite(value) else None
