"""The report of an experiment on memory: conclusions, figures and tables, on one page that needs no network."""

from __future__ import annotations

import inspect
import json
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import cycle
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import polars as pl

from ..files import write_atomically
from . import charts, figures, tables
from .conclusions import conclude
from .measure import Measure, percent
from .results import Result, Run

if TYPE_CHECKING:
    from ..tasks.task import Task

#: Of a table on the page; the files have them all.
_MOST_ROWS = 300

#: Of the evaluations of a curve on the page.
_EVALUATIONS = 8

_CAPTIONS = {
    "score": "The $metric on test of the best model by dev. Small dots are networks, large ones their mean with its "
    "interval, moved sideways so that cells do not cover each other. Dashed: an answer that looks at nothing in the "
    "sequence. Dotted: from here on the task counts as solved.",
    "distribution": "The same networks by themselves. A mean between two heaps of dots describes no network: some "
    "seeds found the solution, the others did not.",
    "solving": "Of all networks, diverged ones among them, the share that has reached $goal on dev by then, as seen at "
    "the evaluations. At the right: how many of how many. A line that stays below 100% is of networks that did not get "
    "there in the steps they had.",
    "loss": "The loss at the evaluations: medians over the seeds, so that no line is a network of its own. Training is "
    "the mean over the steps since the evaluation before. Where dev stays above training, the network learns its "
    "training sequences by heart. Losses that are no number are left out.",
}


def write(run: Run, results: Sequence[Result], task: Task, folder: str | Path) -> Path:
    """Write `report.html`, whose path is returned, each figure as .png and .svg with the table behind it as .csv.

    The figures are score, distribution, solving and loss; networks.csv, differences.csv and spans.csv are there too.

    Raises:
        DataError: no result, or two of one network.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    measure = Measure(task.metric, task.threshold)
    chance = {length: task.chance(length) for length in sorted({r.length for r in results})}
    said = conclude(results, measure, chance)
    networks = tables.network_table(results)
    behind = {
        "score": tables.summary_table(results, measure),
        "distribution": tables.distribution_table(results, measure),
        "solving": tables.solving_table(results),
        "loss": tables.curve_table(results),
    }
    drawn = {
        "score": figures.score_figure(behind["score"], networks, measure, chance),
        "distribution": figures.distribution_figure(behind["distribution"], networks, measure, chance),
        "solving": figures.solving_figure(behind["solving"], measure),
        "loss": figures.loss_figure(behind["loss"]),
    }
    differences = tables.difference_table(results, measure)
    others = {"networks": networks, "differences": differences, "spans": tables.span_table(results, measure)}
    for name, table in (behind | others).items():
        write_atomically(folder / f"{name}.csv", table.write_csv().encode())
    words = {"metric": measure.name, "goal": measure.goal}
    page = Template(files("ostinato.lab").joinpath("report.html").read_text("utf-8")).substitute(
        title=escape(f"{run.experiment}: {task.name}"),
        task=escape(_about(task)),
        count=escape(_count(networks)),
        conclusions=_pairs(said),
        summary=_summary(behind["score"], measure),
        intervals=escape(_intervals(behind["score"])),
        differences=_table(differences),
        figures="\n".join(
            _figure(name, charts.draw(figure, folder / name), Template(_CAPTIONS[name]).substitute(words), behind[name])
            for name, figure in drawn.items()
        ),
        recipe=_pairs(_recipe(run, networks).items()),
        command=escape(run.command),
        files=", ".join(_link(f"{name}.csv") for name in behind | others),
    )
    write_atomically(folder / "report.html", page.encode())
    return folder / "report.html"


def _about(task: Task) -> str:
    """The first paragraph of what the task says of itself."""
    words = (inspect.getdoc(type(task)) or "").partition("\n\n")[0]
    return " ".join(words.replace("`", "").split()) or task.name


def _count(networks: pl.DataFrame) -> str:
    counts = [networks[name].n_unique() for name in ("cell", "length", "seed")]
    nouns = [f"{n} {noun}{'s' if n > 1 else ''}" for n, noun in zip(counts, ("cell", "length", "seed"), strict=True)]
    return f"{', '.join(nouns)}: {len(networks):,} network{'s' if len(networks) > 1 else ''}."


def _intervals(summary: pl.DataFrame) -> str:
    """What n is, and what interval it is."""
    low, high = min(summary["scored"]), max(summary["scored"])
    count = f"{low} seeds" if low == high else f"{low} to {high} seeds"
    methods = "; ".join(summary["interval"].unique(maintain_order=True))
    return (
        f"Means over {count if high > 1 else 'one seed'} with a score. 95% intervals: of a mean, {methods}; of a share "
        "of all seeds, Wilson. Each holds for its own number, not for all at once. Median steps: by then half of the "
        "seeds had solved the task on dev; none are given where fewer than half ever did."
    )


def _summary(table: pl.DataFrame, measure: Measure) -> str:
    heads = ("length", "cell", "seeds", "test", "95%", "dev", "solved", "95%", "median steps")
    inks = dict(zip(table["cell"].unique(maintain_order=True), cycle(charts.PALETTE), strict=False))
    rows = []
    for row in table.iter_rows(named=True):
        seeds = f"{row['seeds']}" + (f" ({row['diverged']} diverged)" if row["diverged"] else "")
        cells = [
            f"<td>{row['length']}</td>",
            f'<td class="name"><i style="background:{inks[row["cell"]]}"></i>{escape(row["cell"])}</td>',
            f"<td>{seeds}</td>",
            f'<td class="strong">{_text(measure, row["test"])}</td>',
            f"<td>{_range(_text(measure, row['test_low']), _text(measure, row['test_high']))}</td>",
            f"<td>{_text(measure, row['dev'])}</td>",
            f'<td class="strong">{round(row["solved"] * row["seeds"])}/{row["seeds"]}</td>',
            f"<td>{_range(percent(row['solved_low']), percent(row['solved_high']))}</td>",
            f"<td>{_value(row['median_steps'])}</td>",
        ]
        rows.append(f"<tr>{''.join(cells)}</tr>")
    return _html(heads, rows)


def _figure(name: str, svg: str, caption: str, table: pl.DataFrame) -> str:
    links = ", ".join(_link(f"{name}.{kind}") for kind in ("png", "svg", "csv"))
    if name == "loss":
        last = pl.col("step").rank("dense") % pl.max_horizontal(1, pl.col("step").n_unique() // _EVALUATIONS) == 0
        table = table.filter(last.over("length", "cell"))
    return (
        f"<figure>{svg}<figcaption>{escape(caption)} {links}</figcaption></figure>"
        f'<details><summary>The table behind it</summary><div class="scroll">{_table(table)}</div></details>'
    )


def _table(table: pl.DataFrame) -> str:
    """Any table, its first rows if there are many."""
    rows = []
    for row in table.head(_MOST_ROWS).iter_rows():
        cells = (f'<td class="name">{escape(v)}</td>' if isinstance(v, str) else f"<td>{_value(v)}</td>" for v in row)
        rows.append(f"<tr>{''.join(cells)}</tr>")
    more = f"<p>and {len(table) - _MOST_ROWS:,} rows more, in the file</p>" if len(table) > _MOST_ROWS else ""
    return _html([name.replace("_", " ") for name in table.columns], rows) + more


def _html(heads: Sequence[str], rows: Sequence[str]) -> str:
    left: dict[str, str] = dict.fromkeys(("cell", "other", "interval", "method"), ' class="name"')
    head = "".join(f'<th scope="col"{left.get(name, "")}>{escape(name)}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def _text(measure: Measure, value: float | None) -> str:
    return "–" if value is None else escape(measure.text(value))


def _range(low: str, high: str) -> str:
    return "–" if "–" in (low, high) else f"{low} to {high}"


def _value(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4g}"


def _recipe(run: Run, networks: pl.DataFrame) -> dict[str, str]:
    settings = {key.replace("_", " "): _setting(value) for key, value in run.settings.items()}
    return settings | {
        "training": f"{networks['seconds'].sum():,.0f} s, over all networks",
        "started": run.started,
        "versions": _named(run.versions),
        "machine": _named(run.machine),
    }


def _setting(value: object) -> str:
    if isinstance(value, list | tuple):
        return " ".join(map(_setting, value))
    if value is None:
        return "none"
    return value if isinstance(value, str) else json.dumps(value)


def _named(values: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in values.items())


def _pairs(pairs) -> str:
    return "".join(f"<dt>{escape(key)}</dt><dd>{escape(value)}</dd>" for key, value in pairs)


def _link(name: str) -> str:
    return f'<a href="{escape(name)}">{escape(name)}</a>'
