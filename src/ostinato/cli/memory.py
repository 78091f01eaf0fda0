"""`ostinato memory`: the memory experiment."""

from __future__ import annotations

import shlex
import signal
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import DataError
from .tables import print_json, show_summary

if TYPE_CHECKING:
    from ..lab.recipe import Settings
    from ..lab.results import Result

_RECIPE = "How a network is trained (the recipe of the task, if not given)"


def memory(
    task: Annotated[
        str, typer.Option(metavar="NAME", help="What is to be remembered; the tasks are named above.")
    ] = "digit-sum",
    cells: Annotated[
        list[str], typer.Option(metavar="NAME...", help="Cells of the library, or path/to/file.py:name.")
    ] = ["srn", "lstm"],  # noqa: B006
    lengths: Annotated[
        list[int] | None,
        typer.Option(metavar="LENGTH...", help="How long the sequences are.", show_default="those of the task"),
    ] = None,
    seeds: Annotated[int, typer.Option(help="Networks a cell and length, each with data and weights of its own.")] = 16,
    seed: Annotated[int, typer.Option(help="The first of the seeds.")] = 0,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for everything that is written.", show_default="runs/memory-DATE-TIME"),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Read LENGTH/train.txt, dev.txt and test.txt from here.", show_default="drawn from the seed"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes that train at the same time.", show_default="one a core")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    epochs: Annotated[
        int | None,
        typer.Option(rich_help_panel=_RECIPE, help="Passes over the training sequences, where they are fixed."),
    ] = None,
    steps: Annotated[int | None, typer.Option(rich_help_panel=_RECIPE, help="Or: how many batches.")] = None,
    batch_size: Annotated[int | None, typer.Option(rich_help_panel=_RECIPE, help="Sequences a batch.")] = None,
    hidden_size: Annotated[int | None, typer.Option(rich_help_panel=_RECIPE, help="Units.")] = None,
    learning_rate: Annotated[float | None, typer.Option(rich_help_panel=_RECIPE, help="Of Adam.")] = None,
    clip_norm: Annotated[
        str | None,
        typer.Option(metavar="NUMBER", rich_help_panel=_RECIPE, help="The longest gradient of a network, or none."),
    ] = None,
    evaluate_every: Annotated[
        int | None, typer.Option(rich_help_panel=_RECIPE, help="Steps between two looks at the dev sequences.")
    ] = None,
) -> None:
    """Ask what recurrent networks remember: train many for each cell and length, and show what they have learned.

    Of every cell and length a population of networks is trained, one a seed, so that every number has an interval. The
    report, figures, tables, the best models and run.sqlite with everything in it are written to a folder. A run that
    was interrupted or killed goes on with the same command and the same --out, and ends with the same numbers.

    Tasks: digit-sum (the sum of the first two digits, from 300 sequences), digit-sum-fresh (the same, new sequences in
    every batch), copy, adding, recall, parity, dyck2, mqar, selective-copy, digits (handwritten, pixel by pixel).

    Examples:

    ostinato memory

    ostinato memory --cells srn gru lstm --lengths 10 20 --epochs 100 --seeds 8

    ostinato memory --task adding --cells gru srn --lengths 50 100 200 --out runs/adding

    ostinato memory --cells mine.py:my_cell lstm --json > results.json
    """
    import torch

    from ..lab import memory as lab
    from ..lab.recipe import Settings
    from ..lab.report import write
    from ..lab.workers import cores
    from .cells import find_cell
    from .progress import progress

    own = {name: find_cell(name) for name in cells}
    settings = Settings.of(
        task,
        cells,
        lengths=lengths or None,
        seeds=seeds,
        seed=seed,
        steps=steps,
        batch_size=batch_size,
        hidden_size=hidden_size,
        learning_rate=learning_rate,
        evaluate_every=evaluate_every,
        data=None if data is None else str(data),
        clip_norm=_number(clip_norm),
    )
    if clip_norm == "none":
        settings = replace(settings, clip_norm=None)
    if epochs is not None:
        settings = replace(settings, steps=_steps(settings, steps, epochs))
    folder = out or Path("runs") / f"memory-{datetime.now():%Y%m%d-%H%M%S}"
    torch.set_num_threads(1)  # a second thread would help little, and on a busy machine harm much
    report, interrupted = None, False
    before = len(lab.finished(folder))
    planned = len(settings.cells) * len(settings.lengths) * settings.seeds
    signal.signal(signal.SIGINT, signal.default_int_handler)  # from here on Ctrl-C is an interruption to go on from
    try:
        with progress() as tell:
            lab.run(settings, folder, own, tell, cores() if workers is None else workers)
        if before == planned:
            typer.echo(f"Every network of this run was in {folder} already: nothing was trained.", err=True)
        report = write(lab.about(folder), lab.finished(folder), settings.found_task, folder)
    except KeyboardInterrupt:
        interrupted = True
    results = lab.finished(folder)
    if json:
        print_json(_document(settings, results, folder, report, interrupted=interrupted))
    elif results:
        _show(settings, results, folder, report)
    if interrupted:
        again = f"{settings.command()} --out {shlex.quote(str(folder))}"
        typer.echo(f"Interrupted with {len(results)} of {planned} networks finished. To continue: {again}", err=True)
        raise typer.Exit(130)


def _steps(settings: Settings, steps: int | None, epochs: int) -> int:
    """How many batches these epochs are."""
    from ..lab.networks import load_data

    if steps is not None:
        raise DataError(f"--epochs {epochs} and --steps {steps} are two ways to say one thing: give one of them")
    if epochs < 1:
        raise DataError(f"epochs is {epochs}; it must be at least 1")
    examples = [load_data(settings, length, settings.seed).train for length in settings.lengths]
    counts = {len(each.targets) for each in examples if each is not None}
    if not counts:
        raise DataError(f"{settings.task} has new sequences in every batch, so it has no epochs: give --steps")
    if len(counts) > 1:
        raise DataError(
            f"an epoch is not as long for every length, as {settings.data} has from {min(counts)} to {max(counts)} "
            "training sequences: give --steps"
        )
    return epochs * -(-counts.pop() // settings.batch_size)


def _number(text: str | None) -> float | None:
    if text in (None, "none"):
        return None
    try:
        return float(text)
    except ValueError:
        raise DataError(f"--clip-norm is {text!r}; it must be a number, or none") from None


def _document(
    settings: Settings, results: list[Result], folder: Path, report: Path | None, *, interrupted: bool
) -> dict[str, Any]:
    """Everything but the curves, which `ostinato runs export --curves` has."""
    rows = [{name: value for name, value in asdict(result).items() if name != "curve"} for result in results]
    files = {"folder": str(folder), "report": report and str(report)}
    return {"settings": asdict(settings), "results": rows, **files, "interrupted": interrupted}


def _show(settings: Settings, results: list[Result], folder: Path, report: Path | None) -> None:
    from ..lab.measure import Measure
    from ..lab.tables import summary_table

    measure = Measure(settings.found_task.metric, settings.found_task.threshold)
    show_summary(summary_table(results, measure), measure)
    typer.echo(f"\nthe best models: {folder / 'models'}")
    typer.echo(f"every number: ostinato runs export {shlex.quote(str(folder))}")
    if report:
        typer.echo(f"report: {report}")
