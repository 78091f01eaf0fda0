"""The runs below a folder, and what each of them set out to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from ..errors import DataError
from .measure import Measure
from .results import Result, Run
from .store import FILE, open_store


@dataclass(frozen=True)
class Found:
    """A folder with a run in it.

    Attributes:
        run: None if it cannot be read.
        networks: how many it holds.
        problem: why it cannot be read, or None.
    """

    folder: Path
    run: Run | None
    networks: int = 0
    problem: str | None = None

    @property
    def planned(self) -> int | None:
        """How many networks it will hold at its end; None if its settings do not say."""
        return None if self.run is None else planned(self.run)

    @property
    def finished(self) -> bool:
        return self.planned is not None and self.networks >= self.planned


def find(folder: str | Path) -> list[Found]:
    """The runs in a folder, in its folders and in theirs, the newest first; those that cannot be read come last."""
    names = (FILE, f"*/{FILE}", f"*/*/{FILE}")
    found = [_look(path.parent) for name in names for path in sorted(Path(folder).glob(name))]
    return sorted(found, key=lambda each: each.run.started if each.run else "", reverse=True)


def _look(folder: Path) -> Found:
    try:
        with open_store(folder, read_only=True) as store:
            return Found(folder, store.run(), store.count())
    except (DataError, OSError) as error:
        return Found(folder, None, problem=str(error))


def ordered(run: Run, results: Sequence[Result]) -> list[Result]:
    """By length, by cell in the order of the settings, by seed; they are kept in the order in which they were ready."""
    order = {spec.rpartition(":")[2]: k for k, spec in enumerate(run.settings.get("cells", []))}
    # A file may have a cell under another name than the cell itself has.
    return sorted(results, key=lambda r: (r.length, order.get(r.cell, len(order)), r.cell, r.seed))


def planned(run: Run) -> int | None:
    """How many networks a run sets out to train: cells, times lengths, times seeds; None if its settings do not say."""
    values = [run.settings.get(name) for name in ("cells", "lengths", "seeds")]
    sizes = [len(value) if isinstance(value, list) else value for value in values]
    known = [size for size in sizes if isinstance(size, int)]
    return prod(known) if len(known) == len(sizes) else None


def measure(run: Run) -> Measure:
    """What the networks of a run are judged by: as its settings say, or its task, or as most tasks do."""
    metric, threshold = run.settings.get("metric"), run.settings.get("threshold")
    if metric and threshold is not None:
        return Measure(metric, threshold)
    if "task" in run.settings:
        from ..tasks import find  # takes a while: torch

        task = find(run.settings["task"])
        return Measure(task.metric, task.threshold)
    return Measure("accuracy", 0.9)
