"""`ostinato memory`: the memory experiment."""

from __future__ import annotations

import json as json_format
import shlex
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

if TYPE_CHECKING:
    from .. import train
    from ..lab.memory import Job, Report, Result


class SeveralValues(TyperCommand):
    """A command whose list options take several values after one flag: `--cells srn lstm`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        flags = {flag for param in self.params if getattr(param, "multiple", False) for flag in param.opts}
        repeated, flag = [], None
        for before, arg in zip([None, *args], [*args, "-"], strict=True):
            if before in flags and arg.startswith("-"):
                ctx.fail(f"{before} takes one value or more.")
            if arg.startswith("-"):
                name = arg.partition("=")[0]
                flag = name if name in flags else None
            elif flag and before != flag:
                repeated.append(flag)
            repeated.append(arg)
        return super().parse_args(ctx, repeated[:-1])


_CELLS = ["srn", "lstm"]
_LENGTHS = [10, 15, 20, 25, 30, 35]


def memory(
    cells: Annotated[list[str], typer.Option(metavar="NAME...", help="Cells of the library.")] = _CELLS,
    lengths: Annotated[list[int], typer.Option(metavar="LENGTH...", help="How long the sequences are.")] = _LENGTHS,
    epochs: Annotated[int, typer.Option(help="Passes over the 300 training sequences.")] = 500,
    seed: Annotated[int, typer.Option(help="Decides the data and the starting weights.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for everything that is written.", show_default="runs/memory-DATE-TIME"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Read LENGTH/train.txt, dev.txt and test.txt from here.", show_default="generated"),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
) -> None:
    """Train one network for each cell and length to sum the two digits at the start of a sequence.

    What it remembers after the wait is its accuracy. The report, the figures, the tables behind them and the best
    models are written to a folder. Ctrl-C loses nothing but the network in training: the same command with the same
    --out continues.

    Examples:

    ostinato memory

    ostinato memory --cells srn gru lstm --lengths 10 20 --epochs 100 --seed 1

    ostinato memory --out runs/first --json > results.json
    """
    import torch

    from ..lab import memory as lab
    from ..lab.report import command, write_report

    signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on Ctrl-C is an interruption to go on from
    settings = lab.Settings(tuple(cells), tuple(lengths), epochs, seed, None if data is None else str(data))
    folder = out or Path("runs") / f"memory-{datetime.now():%Y%m%d-%H%M%S}"
    torch.set_num_threads(1)  # more are no faster on products this small, and far slower on a busy machine
    report, interrupted = None, False
    before = len(lab.finished(settings, folder))
    try:
        with _progress() as tell:
            lab.run(settings, folder, tell)
        if before == len(cells) * len(lengths):
            typer.echo(f"Every network of this run was in {folder} already: nothing was trained.", err=True)
        report = write_report(settings, folder)
    except KeyboardInterrupt:
        interrupted = True
    results = lab.finished(settings, folder)
    if json:
        document = {"settings": asdict(settings), "results": [asdict(result) for result in results]}
        files = {"folder": str(folder), "report": report and str(report)}
        typer.echo(json_format.dumps({**document, **files, "interrupted": interrupted}, indent=2))
    elif results:
        _show(results, folder, report)
    if interrupted:
        share = f"{len(results)} of {len(cells) * len(lengths)} networks"
        again = f"{command(settings)} --out {shlex.quote(str(folder))}"
        typer.echo(f"Interrupted with {share} finished. To continue: {again}", err=True)
        raise typer.Exit(130)


@contextmanager
def _progress() -> Iterator[Report]:
    """A bar on a terminal, now and then a line elsewhere; both on stderr."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console, start = Console(stderr=True), time.monotonic()

    def where(job: Job, p: train.Progress) -> str:
        return f"{job.cell}, length {job.length}, network {job.number} of {job.count}: dev {p.dev_score:.0%}"

    def left(fraction: float) -> str:
        return f"{_duration((time.monotonic() - start) * max(0.0, 1 / fraction - 1))} left"

    if console.is_terminal:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:.0f}%, {task.fields[left]}"),
        )
        with Progress(*columns, console=console, transient=True) as bars:
            bar = bars.add_task("starting", total=1.0, left="")

            def move(job: Job, p: train.Progress) -> None:
                fraction = job.fraction(p)
                bars.update(bar, completed=fraction, description=where(job, p), left=left(fraction))

            yield move
    else:
        told = start

        def tell(job: Job, p: train.Progress) -> None:
            nonlocal told
            if p.step == p.steps or time.monotonic() - told > 10:
                told = time.monotonic()
                fraction = job.fraction(p)
                typer.echo(f"{where(job, p)}; {fraction:.0%} of the work, {left(fraction)}", err=True)

        yield tell


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _show(results: list[Result], folder: Path, report: Path | None) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("length", "cell", box=None, padding=(0, 2, 0, 0))
    for name in ("dev", "test", "best step", "seconds"):
        table.add_column(name, justify="right")
    for r in results:
        accuracies = f"{r.dev_accuracy:.0%}", f"{r.test_accuracy:.0%}"
        table.add_row(str(r.length), r.cell, *accuracies, f"{r.best_step:,}", f"{r.seconds:.0f}")
    console.print(table)
    typer.echo(f"\nbest models: {folder / 'CELL-LENGTH' / 'best.safetensors'}")
    if report:
        typer.echo(f"report: {report}")
