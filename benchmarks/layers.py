"""Time the layers against torch.nn's, Paddle's and an eager loop: `python -m benchmarks.layers`.

All numbers are compared before any clock starts, and no time is shown if two differ (exit status 2). Falling short of
a required ratio is shown; with --require it is exit status 1.

Whatever could disturb the rest has a process of its own: Paddle, which brings a thread pool beside torch's, and each
measurement of memory.
"""

from __future__ import annotations

import argparse
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console

from . import memory
from .cases import OWN_CELL, Measured, Result, in_process_cases, run, run_paddle
from .comparison import DifferenceError
from .contestants import OURS, has_paddle, import_paddle
from .report import Report
from .requirements import LARGE, MEMORY, SHAPES, TINY, Shape
from .timing import FULL, QUICK, Effort

LAYERS = (*OURS, OWN_CELL)

T = TypeVar("T")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns its exit status."""
    options = _parse(arguments)
    torch.set_num_threads(options.threads)
    try:
        report = _measure(options)
    except DifferenceError as difference:
        print(f"refused, nothing is timed: {difference}", file=sys.stderr)
        return 2
    console = Console()
    report.print(console if console.is_terminal else Console(width=130))
    if options.json:
        report.write(options.json)
        _say(f"all figures are in {options.json}")
    return 1 if options.require and report.short else 0


def _measure(options: argparse.Namespace) -> Report:
    layers, shapes, effort = options.only, options.shape, QUICK if options.quick else FULL
    notes = list(_busy())
    results, difference, peak = run(in_process_cases(layers, shapes), effort, _say)
    built_in = [layer for layer in layers if layer in OURS]
    if not has_paddle():
        notes.append("Paddle is not installed (the extra `bench`): nothing was measured against it.")
    elif built_in:
        against_torch = [result for result in results if result.peer == "torch.nn"]
        found = _in_fresh_process(_against_paddle, against_torch, shapes, effort, options.threads)
        results, difference = results + found.results, max(difference, found.difference)
    if memory.can_measure():
        results += _peaks(built_in, memory.worth_measuring(shapes)[-1:], options.threads)
    else:
        notes.append("Memory was not measured: this system does not tell the peak of the resident set.")
    return Report(results, options.threads, peak, difference, notes)


def _busy() -> Iterator[str]:
    """A word of warning if others use the machine: two threads that wait for a third program show any time at all."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores / 4:
        yield f"The machine was busy at the start (a load of {load:.1f} on {cores} cores): take no time for certain."


def _against_paddle(measured: Sequence[Result], shapes: Sequence[Shape], effort: Effort, threads: int) -> Measured:
    """In a fresh process: Paddle's layers against ours, both on so many threads."""
    torch.set_num_threads(threads)
    import_paddle().base.core.set_num_threads(threads)
    return run_paddle(measured, shapes, effort, _say)


def _peaks(layers: Sequence[str], shapes: Sequence[Shape], threads: int) -> Iterator[Result]:
    """Memory, a process for each figure."""
    for layer, shape in itertools.product(layers, shapes):
        _say(f"memory of {layer} {shape}")
        ours, theirs = (_in_fresh_process(memory.peak_growth, layer, shape, own, threads) for own in (True, False))
        yield Result(
            layer, str(shape), "memory", "torch.nn", "MB", ours / 1e6, theirs / 1e6, theirs / ours, MEMORY.get(shape)
        )


def _in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.layers", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=2, help="of every library (2)")
    parser.add_argument("--only", nargs="+", metavar="LAYER", help=f"some of: {', '.join(LAYERS)}")
    parser.add_argument("--shape", nargs="+", metavar="SHAPE", help="shapes by their beginning: B8, 'B64 T20'")
    parser.add_argument("--quick", action="store_true", help="two shapes, few rounds: does it run at all?")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    parser.add_argument("--require", action="store_true", help="exit with 1 where a required ratio is not reached")
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error(f"--threads is {options.threads}: at least 1")
    names = {name.lower(): name for name in LAYERS} | {"cell": OWN_CELL}
    unknown = [name for name in options.only or () if name.lower() not in names]
    if unknown:
        parser.error(f"no layer is called {unknown[0]!r}; there are: {', '.join(LAYERS)}")
    options.only = [names[name.lower()] for name in options.only or LAYERS]
    shapes = (TINY, LARGE) if options.quick else SHAPES
    wanted = options.shape or [""]
    options.shape = [shape for shape in shapes if any(f"{shape} ".startswith(w) for w in wanted)]
    if not options.shape:
        parser.error(f"no shape begins with {' or '.join(wanted)}; there are: {', '.join(map(str, shapes))}")
    return options


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
