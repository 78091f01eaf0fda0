"""Of the experiment with one seed, until it is one with many: to be deleted, with single_seed.html, then."""

from __future__ import annotations

import importlib.metadata
import platform
import shlex
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date
from html import escape
from importlib.resources import files
from itertools import cycle
from math import ceil, sqrt
from pathlib import Path
from statistics import fmean
from string import Template

import polars as pl

from ..files import write_atomically
from ..train import History, read_record
from . import charts
from .memory import Result, Settings, finished, network_folder


def write_report(settings: Settings, folder: str | Path) -> Path:
    """Write accuracy and loss as .png, .svg and .csv, and `report.html`, whose path is returned.

    Raises:
        DataError: the folder holds no finished network, or a file of it is not what it should be.
    """
    folder = Path(folder)
    results = finished(settings, folder)
    accuracy = pl.DataFrame([asdict(result) for result in results])
    loss = pl.concat([_curve(result, folder) for result in results])
    for name, table in (("accuracy", accuracy), ("loss", loss)):
        write_atomically(folder / f"{name}.csv", table.write_csv().encode())
    page = Template(files("ostinato.lab").joinpath("single_seed.html").read_text("utf-8")).substitute(
        accuracy=charts.draw(charts.accuracy_chart(accuracy), folder / "accuracy"),
        loss=charts.draw(charts.loss_chart(loss), folder / "loss"),
        table=_table(settings, results),
        uncertainty=ceil(100 * 1.96 * sqrt(0.25 / min(result.test_examples for result in results))),
        examples=results[0].test_examples,
        networks=len(results),
        seed=settings.seed,
        every=settings.evaluate_every,
        recipe=_pairs(_recipe(settings, results)),
        command=escape(command(settings)),
        date=date.today().isoformat(),
    )
    write_atomically(folder / "report.html", page.encode())
    return folder / "report.html"


def command(settings: Settings) -> str:
    """What to type to run these settings again."""
    words = ["ostinato", "memory", "--cells", *settings.cells, "--lengths", *map(str, settings.lengths)]
    words += ["--epochs", str(settings.epochs), "--seed", str(settings.seed)]
    if settings.data is not None:
        words += ["--data", settings.data]
    return shlex.join(words)


def _curve(result: Result, folder: Path) -> pl.DataFrame:
    """One row an evaluation; the training loss is the mean over the steps since the evaluation before."""
    history = read_record(History, network_folder(folder, result.cell, result.length) / "history.json")
    steps = [evaluation.step for evaluation in history.evaluations]
    pieces = [history.train_loss[a:b] for a, b in zip([0, *steps], steps, strict=False)]
    return pl.DataFrame(
        {
            "cell": [result.cell] * len(steps),
            "length": [result.length] * len(steps),
            "step": steps,
            "train_loss": [fmean(piece) for piece in pieces],
            "dev_loss": [evaluation.loss for evaluation in history.evaluations],
            "dev_accuracy": [evaluation.score for evaluation in history.evaluations],
            "best": [step == result.best_step for step in steps],
        }
    )


def _table(settings: Settings, results: Sequence[Result]) -> str:
    found = {(result.cell, result.length): result for result in results}
    colours = dict(zip(settings.cells, cycle(charts.PALETTE), strict=False))
    heads = "".join(
        f'<th colspan="2" scope="colgroup"><i style="background:{colours[cell]}"></i>{cell}</th>'
        for cell in settings.cells
    )
    rows = []
    for length in settings.lengths:
        cells = [found[cell, length] for cell in settings.cells]
        numbers = "".join(f'<td class="test">{r.test_accuracy:.0%}</td><td>{r.dev_accuracy:.0%}</td>' for r in cells)
        rows.append(f'<tr><th scope="row">{length}</th>{numbers}<td>{cells[0].majority:.0%}</td></tr>')
    kinds = '<th scope="col">test</th><th scope="col">dev</th>' * len(settings.cells)
    chance = '<th scope="col">always the most frequent sum</th>'
    return (
        f'<thead><tr><th></th>{heads}<th></th></tr><tr><th scope="col">length</th>{kinds}{chance}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody>"
    )


def _recipe(settings: Settings, results: Sequence[Result]) -> dict[str, str]:
    seconds = sum(result.seconds for result in results)
    packages = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("ostinato", "torch"))
    return {
        "model": f"embedding of {settings.units}, one layer of {settings.units} units, linear layer on the last state",
        "start": "Xavier-uniform embedding and weights, zero bias",
        "data": settings.data or f"generated from seed {settings.seed}",
        "training": f"Adam {settings.learning_rate:g}, cross-entropy, batches of {settings.batch_size}, not shuffled, "
        f"{settings.epochs:,} epochs ({results[0].steps:,} steps)",
        "kept": f"the model of the best dev accuracy, of one evaluation every {settings.evaluate_every} steps",
        "time": f"{seconds:,.0f} s of training",
        "backend": ", ".join(dict.fromkeys(result.backend for result in results)),
        "versions": f"{packages}, Python {platform.python_version()}",
    }


def _pairs(pairs: dict[str, str]) -> str:
    return "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in pairs.items())
