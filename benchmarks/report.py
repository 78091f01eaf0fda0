"""The tables, and the same figures as JSON."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console
from rich.table import Table

from .cases import OWN_CELL, Result
from .comparison import TOLERANCE


@dataclass(frozen=True)
class Report:
    """All that was measured.

    Attributes:
        peak: operations a second of a large float32 product by torch.
        difference: the largest that the comparisons found.
        notes: what is missing, and why.
        tolerance, difference_of: what the comparisons allow, and what it and `difference` are a share of.
    """

    results: Sequence[Result]
    threads: int
    peak: float
    difference: float
    notes: Sequence[str] = ()
    tolerance: float = TOLERANCE
    difference_of: str = "the largest number"

    @property
    def short(self) -> list[Result]:
        """The measurements that fall short of what is required."""
        return [result for result in self.results if result.short]

    def print(self, console: Console) -> None:
        """Every table that there are figures for."""
        for table in (self._layers(), self._own_cell(), self._memory(), self._training()):
            if table.row_count:
                console.print(table)
        console.print(
            f"ratio = theirs / ours, the median of rounds taken in turn (Paddle: timed alone). "
            f"{self.threads} thread(s) of {_cpu()}; "
            f"'of peak': products / time / {self.peak / 1e9:.0f} GFLOP/s, torch's own on a large product. "
            f"All numbers were compared first: the largest difference is {self.difference:.1g} of "
            f"{self.difference_of}, the tolerance {self.tolerance:g}.",
            soft_wrap=True,
        )
        for note in self.notes:
            console.print(note, soft_wrap=True)
        for result in self.short:
            networks = f", {result.networks} networks" if result.networks > 1 else ""
            console.print(
                f"[red]short[/]: {result.layer} {result.shape}{networks}, {result.what} against {result.peer}: "
                f"{result.ratio:.2f}, at least {result.at_least:.2f} is required",
                soft_wrap=True,
            )

    def _layers(self) -> Table:
        table = _table("Layers: forward + backward, and inference under no_grad, ms")
        for name in ("ours", "torch", "ratio", "needed", "of peak", "no_grad", "torch", "ratio", "Paddle", "ratio"):
            table.add_column(name, justify="right")
        seen = ""
        for ours in self._of("torch.nn", "forward + backward"):
            if ours.layer != seen:
                table.add_section()
                seen = ours.layer
            (inference,) = self._of("torch.nn", "inference", like=ours)
            paddle = self._of("paddle.nn", "forward + backward", like=ours)
            table.add_row(
                *(ours.layer, ours.shape, _number(ours.ours), _number(ours.theirs), *_judged(ours)),
                *(self._of_peak(ours), _number(inference.ours), _number(inference.theirs), f"{inference.ratio:.1f}"),
                *((_number(paddle[0].theirs), f"{paddle[0].ratio:.1f}") if paddle else ("-", "-")),
            )
        return table

    def _own_cell(self) -> Table:
        table = _table("A cell of one's own: against its eager loop, and against our LSTM (as many products), ms")
        for name in ("ours", "eager", "ratio", "needed", "of peak", "/ LSTM", "at most", "no_grad", "eager", "ratio"):
            table.add_column(name, justify="right")
        for ours in self._of("eager loop", "forward + backward"):
            (inference,) = self._of("eager loop", "inference", like=ours)
            (lstm,) = self._of("ostinato LSTM", "forward + backward", like=ours)
            table.add_row(
                *(OWN_CELL, ours.shape, _number(ours.ours), _number(ours.theirs), *_judged(ours), self._of_peak(ours)),
                *_judged(lstm, inverse=True),
                *(_number(inference.ours), _number(inference.theirs), f"{inference.ratio:.1f}"),
            )
        return table

    def _memory(self) -> Table:
        table = _table("Peak memory of forward + backward, MB above what was resident with weights and input ready")
        for name in ("ours", "torch", "ratio", "needed"):
            table.add_column(name, justify="right")
        for result in self._of("torch.nn", "memory"):
            table.add_row(
                result.layer, result.shape, _number(result.ours), _number(result.theirs), *_judged(result, digits=2)
            )
        return table

    def _training(self) -> Table:
        table = _table("One training step: µs of one network out of so many that are trained as one, against another's")
        for name in ("networks", "µs", "of peak"):
            table.add_column(name, justify="right")
        table.add_column("against")
        for name in ("µs", "ratio", "middle half", "needed"):
            table.add_column(name, justify="right")
        seen = ""
        for result in (r for r in self.results if r.what == "training step"):
            if result.layer != seen:
                table.add_section()
                seen = result.layer
            ratio, needed = _judged(result, digits=2 if result.ratio < 10 else 1)
            table.add_row(
                *(result.layer, result.shape, str(result.networks), _number(result.ours), self._of_peak(result)),
                *(result.peer, _number(result.theirs), ratio, _middle_half(result), needed),
            )
        return table

    def _of(self, peer: str, what: str, like: Result | None = None) -> list[Result]:
        found = [r for r in self.results if (r.peer, r.what) == (peer, what)]
        return [r for r in found if like is None or (r.layer, r.shape) == (like.layer, like.shape)]

    def _of_peak(self, result: Result) -> str:
        return "" if result.flops is None else f"{result.flops / self.peak:.0%}"

    def write(self, file: Path) -> None:
        """All figures as JSON, under a temporary name until they are complete."""
        figures = {
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "threads": self.threads,
            "cpu": _cpu(),
            "python": platform.python_version(),
            "versions": {name: _version(name) for name in ("ostinato", "torch", "numba", "jax", "paddlepaddle")},
            "peak_gflops": self.peak / 1e9,
            "tolerance": self.tolerance,
            "largest_difference": self.difference,
            "notes": list(self.notes),
            "results": [dataclasses.asdict(result) | {"short": result.short} for result in self.results],
        }
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as temporary:
            json.dump(figures, temporary, indent=2)
            temporary.write("\n")
        os.replace(temporary.name, file)


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("layer")
    table.add_column("shape", no_wrap=True)
    return table


def _judged(result: Result, *, inverse: bool = False, digits: int = 1) -> tuple[str, str]:
    """A ratio and what is required of it, marked; with `inverse` ours / theirs."""
    digits = 2 if inverse else digits
    ratio = 1 / result.ratio if inverse else result.ratio
    if result.at_least is None:
        return f"{ratio:.{digits}f}", ""
    needed = 1 / result.at_least if inverse else result.at_least
    mark = "[red]✗ short[/]" if result.short else "[green]✓[/]"
    return f"{ratio:.{digits}f}", f"{needed:.1f} {mark}"


def _middle_half(result: Result) -> str:
    """The quartiles of the ratios of rounds; nothing where the two were not timed in turn."""
    if len(result.ours_rounds) != len(result.theirs_rounds):
        return ""
    ratios = [theirs / ours for ours, theirs in zip(result.ours_rounds, result.theirs_rounds, strict=True)]
    low, _, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return f"{_number(low)}-{_number(high)}"


def _number(value: float) -> str:
    """Three digits."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
