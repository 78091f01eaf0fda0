"""How far a run is, on stderr: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from ..lab.memory import Listener, Progress

# Seconds between two lines.
_PAUSE = 10


@contextmanager
def progress() -> Iterator[Listener]:
    """What to call with the progress of a run."""
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bars

    console, clock = Console(stderr=True), _Clock()
    if not console.is_terminal:
        yield clock.tell
        return
    columns = (
        BarColumn(bar_width=20),
        TextColumn("{task.percentage:.0f}%, {task.fields[left]}"),
        TextColumn("{task.description}"),
    )
    with Bars(*columns, console=console, transient=True) as bars:
        bar = bars.add_task("starting", total=1.0, left="")

        def move(p: Progress) -> None:
            bars.update(bar, completed=p.fraction, description=_where(p), left=clock.left(p.fraction))

        yield move


class _Clock:
    """Time left, from the share of the work that this process has done itself."""

    def __init__(self) -> None:
        self.told = time.monotonic()
        self.first: tuple[float, float] | None = None

    def left(self, fraction: float) -> str:
        now = time.monotonic()
        if self.first is None:
            self.first = now, fraction
        begin, already = self.first
        if fraction >= 1:
            return "done"
        if fraction <= already:
            return "begun"
        return f"{duration((now - begin) * (1 - fraction) / (fraction - already))} left"

    def tell(self, p: Progress) -> None:
        left = self.left(p.fraction)
        if p.training.step == p.training.steps or time.monotonic() - self.told > _PAUSE:
            self.told = time.monotonic()
            typer.echo(f"{p.fraction:.0%}, {left}; {_where(p)}", err=True)


def _where(p: Progress) -> str:
    scores = [abs(score) for score in p.training.scores if math.isfinite(score)]
    mean = f"{sum(scores) / len(scores):.2g}" if scores else "no number"
    return f"{p.group.cell}, length {p.group.length}: dev {mean} in the mean ({p.finished} of {p.count} done)"


def duration(seconds: float) -> str:
    """Seconds in words."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
