"""`ostinato runs`: what past runs have left, to look at, to compare and to take elsewhere."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError
from .tables import console, interval, make_table, print_json, show_summary

if TYPE_CHECKING:
    from ..lab.comparison import Row
    from ..lab.measure import Measure
    from ..lab.results import Result, Run
    from ..lab.runs import Found

runs = typer.Typer(no_args_is_help=True, rich_markup_mode="markdown")


@runs.callback()
def about() -> None:
    """Look at what runs have left, compare two, take the numbers elsewhere.

    A run is a folder with run.sqlite in it. It can be read while it goes on.

    Examples:

    ostinato runs list

    ostinato runs show runs/first

    ostinato runs compare runs/first runs/second

    ostinato runs export runs/first --out first.csv
    """


_RUNS = Path("runs")
_Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of a run.", show_default=False)]
_Json = Annotated[bool, typer.Option("--json", help="Print it for a program to read.")]


@runs.command("list")
def list_runs(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to look, two levels deep.")] = _RUNS,
    json: _Json = False,
) -> None:
    """List the runs below a folder, the newest first.

    What is no run is not listed; a run that cannot be read is, with the reason.

    Examples:

    ostinato runs list

    ostinato runs list /data/experiments --json
    """
    from ..lab.runs import find

    if folder != _RUNS and not folder.is_dir():
        raise DataError(f"there is no folder '{folder}'")
    found = find(folder)
    if json:
        print_json([_found_document(each) for each in found])
    elif found:
        _show_list(found)
    if not found:
        typer.echo(
            f"No run in {folder}. 'ostinato memory' makes one; 'ostinato runs list FOLDER' looks elsewhere.", err=True
        )


def _found_document(found: Found) -> dict[str, Any]:
    settings = found.run.settings if found.run else {}
    return {
        "folder": str(found.folder),
        "experiment": found.run and found.run.experiment,
        "started": found.run and found.run.started,
        **{name: settings.get(name) for name in ("task", "cells", "lengths", "seeds")},
        "networks": found.networks,
        "planned": found.planned,
        "finished": found.finished,
        "problem": found.problem,
    }


def _show_list(found: Sequence[Found]) -> None:
    width = max(len(str(each.folder)) for each in found)
    for each in found:
        if each.run is None:
            typer.echo(f"{each.folder!s:{width}}  cannot be read\n    {each.problem}")
        else:
            networks = f"{_networks(each.networks, each.planned)} networks"
            typer.echo(f"{each.folder!s:{width}}  {_minute(each.run)} UTC  {networks}\n    {_aim(each.run)}")


def _aim(run: Run) -> str:
    """What a run set out to do, as far as its settings say: "memory digit-sum: srn lstm, lengths 10 20, 16 seeds"."""
    settings = run.settings
    what = " ".join(filter(None, (run.experiment, settings.get("task"))))
    forms = {"cells": "{}", "lengths": "lengths {}", "seeds": "{} seeds"}
    parts = [form.format(_words(settings[name])) for name, form in forms.items() if name in settings]
    return f"{what}: {', '.join(parts)}" if parts else what


@runs.command()
def show(folder: _Folder, json: _Json = False) -> None:
    """Show how a run was made and what came out: a row a length and cell, the mean over seeds with its 95 % interval.

    Examples:

    ostinato runs show runs/first

    ostinato runs show runs/first --json > first.json
    """
    from ..lab.runs import measure, planned

    run, results = _read(folder)
    table = None
    if results:
        from ..lab.tables import summary_table

        table = summary_table(results, measure(run))
    if json:
        counts = {"networks": len(results), "planned": planned(run)}
        print_json(
            {"folder": str(folder), **asdict(run), **counts, "summary": table.to_dicts() if table is not None else []}
        )
        return
    typer.echo(run.command)
    about = make_table(header=False)
    about.add_row("experiment", run.experiment)
    about.add_row("started", f"{_minute(run)} UTC")
    for name in ("settings", "versions", "machine"):
        about.add_row(name, ", ".join(f"{key} {_words(value)}" for key, value in getattr(run, name).items()))
    about.add_row("networks", _networks(len(results), planned(run)))
    console().print(about)
    if table is not None:
        typer.echo()
        show_summary(table, measure(run))


@runs.command()
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="Folder of a run.", show_default=False)],
    b: Annotated[Path, typer.Argument(metavar="B", help="Folder of another.", show_default=False)],
    json: _Json = False,
) -> None:
    """Show in what two runs differ, and how much better or worse B did than A.

    Where both have networks of the same seeds, the difference is also taken seed by seed, with its 95 % interval:
    what the luck of a seed adds to both is then gone.

    Examples:

    ostinato runs compare runs/first runs/second

    ostinato runs compare runs/first runs/second --json
    """
    from ..lab import comparison
    from ..lab.runs import measure

    (run_a, results_a), (run_b, results_b) = _read(a), _read(b)
    measures = measure(run_a), measure(run_b)
    if measures[0].metric != measures[1].metric:
        raise DataError(f"{a} is judged by {measures[0].name}, {b} by {measures[1].name}: the two cannot be compared")
    rows = comparison.compare(results_a, results_b)
    parts = ("settings", "versions", "machine")
    differing = {part: comparison.differing(getattr(run_a, part), getattr(run_b, part)) for part in parts}
    if json:
        differences = {
            part: {name: {"a": pair[0], "b": pair[1]} for name, pair in values.items()}
            for part, values in differing.items()
        }
        print_json({"a": str(a), "b": str(b), **differences, "comparison": [_row_document(row) for row in rows]})
        return
    typer.echo(f"A: {a}, {_minute(run_a)} UTC\nB: {b}, {_minute(run_b)} UTC\n")
    _show_differing(differing)
    if rows:
        typer.echo()
        _show_comparison(rows, measures[0])


def _row_document(row: Row) -> dict[str, Any]:
    paired = row.paired
    return {
        **{name: getattr(row, name) for name in ("length", "cell", "a", "count_a", "b", "count_b", "difference")},
        "pairs": paired.mean.count,
        "paired_difference": paired.mean.estimate,
        "paired_low": paired.mean.low,
        "paired_high": paired.mean.high,
        "p_value": paired.p_value,
        "method": paired.method,
    }


def _show_differing(differing: Mapping[str, Mapping[str, tuple[Any, Any]]]) -> None:
    if not any(differing.values()):
        typer.echo("Settings, versions and machine are the same.")
        return
    table = make_table("differing", "A", "B")
    for values in differing.values():
        for name, pair in values.items():
            table.add_row(name, *map(_words, pair))
    console().print(table)


def _show_comparison(rows: Sequence[Row], measure: Measure) -> None:
    table = make_table("length", "cell", numbers=("A", "B", "B - A", "pairs", "B - A in pairs", "95 % interval"))
    for row in rows:
        mean = row.paired.mean
        table.add_row(
            str(row.length),
            row.cell,
            *(
                f"{measure.text(value)} ({count})" if count else ""
                for value, count in ((row.a, row.count_a), (row.b, row.count_b))
            ),
            _known(measure.difference, row.difference),
            str(mean.count or ""),
            _known(measure.difference, mean.estimate),
            interval(measure.difference, mean.low, mean.high),
        )
    console().print(table)
    unit = "; B - A: percentage points" if measure.unit else ""
    typer.echo(f"\nA, B: mean {measure.name} on test (of how many networks){unit}")


_Format = Annotated[
    str | None,
    typer.Option(
        "--format",
        metavar="csv|json|parquet",
        help="How it is written.",
        show_default="by the name of --out, or csv",
    ),
]


@runs.command()
def export(
    folder: _Folder,
    format: _Format = None,
    out: Annotated[Path | None, typer.Option(help="File to write.", show_default="standard output")] = None,
    curves: Annotated[bool, typer.Option("--curves", help="A row an evaluation, not a row a network.")] = False,
) -> None:
    """Write the results of a run as a table: a row a network. A score that is no number is left empty.

    Examples:

    ostinato runs export runs/first > first.csv

    ostinato runs export runs/first --out first.parquet

    ostinato runs export runs/first --curves --out curves.csv
    """
    from ..files import write_atomically
    from ..lab.export import FORMATS, encode, evaluation_table
    from ..lab.tables import network_table

    suffix = out.suffix.removeprefix(".") if out else ""
    format = format or (suffix if suffix in FORMATS else "csv")
    if format == "parquet" and out is None:
        raise DataError("parquet is not text: say with --out which file it goes to")
    _, results = _read(folder, curves=curves)
    content = encode(evaluation_table(results) if curves else network_table(results), format)
    if out is None:
        typer.echo(content, nl=False)
    else:
        write_atomically(out, content)


def _read(folder: Path, curves: bool = False) -> tuple[Run, list[Result]]:
    from ..lab.runs import ordered
    from ..lab.store import open_store

    with open_store(folder, read_only=True) as store:
        run = store.run()
        return run, ordered(run, store.results(curves=curves))


def _minute(run: Run) -> str:
    return run.started[:16].replace("T", " ")


def _networks(count: int, planned: int | None) -> str:
    return str(count) if planned is None else f"{count} of {planned}"


def _words(value: Any) -> str:
    if value is None:
        return "-"
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def _known(text: Any, value: float) -> str:
    return "" if math.isnan(value) else text(value)
