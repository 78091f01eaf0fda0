"""Tables and JSON on standard output, the same of every command."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    import polars as pl
    from rich.console import Console
    from rich.table import Table

    from ..lab.measure import Measure


def console() -> Console:
    """On a terminal as wide as that is; elsewhere, a pipe or a file, no line is ever broken."""
    from rich.console import Console

    console = Console(markup=False, highlight=False, emoji=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 10_000
    return console


def make_table(*words: str, numbers: Sequence[str] = (), header: bool = True) -> Table:
    """A table without lines: columns of words, then columns of numbers."""
    from rich.table import Table

    table = Table(*words, box=None, padding=(0, 2, 0, 0), show_header=header)
    for name in numbers:
        table.add_column(name, justify="right")
    return table


def interval(text: Any, low: float | None, high: float | None) -> str:
    """Both ends as `text` writes them; empty where there is no interval."""
    return "" if low is None or high is None or math.isnan(low) else f"{text(low)} to {text(high)}"


def show_summary(summary: pl.DataFrame, measure: Measure) -> None:
    """The summary of a run, as `lab.tables.summary_table` has it, and what its columns mean."""
    from ..lab.measure import percent

    numbers = ["seeds", "test", "95% interval", "solved", "95% interval", "steps"]
    diverged = bool(summary["diverged"].sum())
    shown = make_table("length", "cell", numbers=numbers + ["diverged"] * diverged)
    for row in summary.iter_rows(named=True):
        shown.add_row(
            str(row["length"]),
            row["cell"],
            str(row["seeds"]),
            "" if row["test"] is None else measure.text(row["test"]),
            interval(measure.text, row["test_low"], row["test_high"]),
            percent(row["solved"]),
            interval(percent, row["solved_low"], row["solved_high"]),
            "" if row["median_steps"] is None else f"{row['median_steps']:,}",
            *[str(row["diverged"])] * diverged,
        )
    console().print(shown)
    typer.echo(f"\ntest: {measure.name}, the mean over the best models by dev")
    typer.echo(f"solved: the share of the seeds with {measure.goal} on test")
    typer.echo("steps: after which half of the seeds had it on dev")


def print_json(document: object) -> None:
    """With null for what JSON lacks, a number that is not finite."""
    typer.echo(json.dumps(_plain(document), indent=2))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
