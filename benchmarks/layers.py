"""Time the layers against torch.nn's, Paddle's and an eager loop: `python -m benchmarks.layers`.

All numbers are compared before any clock starts, and no time is shown if two differ (exit status 2). Falling short of
a required ratio is shown; with --require it is exit status 1.

Whatever could disturb the rest has a process of its own: Paddle, which brings a thread pool beside torch's, and each
measurement of memory.

`python -m benchmarks.training` times whole training steps. `make bench` runs both.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator, Sequence

import torch

from . import command, memory
from .cases import OWN_CELL, Measured, Result, in_process_cases, run, run_paddle
from .command import in_fresh_process, say
from .contestants import OURS, has_paddle, import_paddle
from .report import Report
from .requirements import LARGE, MEMORY, SHAPES, TINY, Shape
from .timing import FULL, QUICK, Effort

LAYERS = (*OURS, OWN_CELL)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns its exit status."""
    return command.execute(_measure, _parse(arguments))


def _measure(options: argparse.Namespace) -> Report:
    layers, shapes, effort = options.only, options.shape, QUICK if options.quick else FULL
    notes = list(command.busy())
    results, difference, peak = run(in_process_cases(layers, shapes), effort, say)
    built_in = [layer for layer in layers if layer in OURS]
    if not has_paddle():
        notes.append("Paddle is not installed (the extra `bench`): nothing was measured against it.")
    elif built_in:
        against_torch = [result for result in results if result.peer == "torch.nn"]
        found = in_fresh_process(_against_paddle, against_torch, shapes, effort, options.threads)
        results, difference = results + found.results, max(difference, found.difference)
    if memory.can_measure():
        results += _peaks(built_in, memory.worth_measuring(shapes)[-1:], options.threads)
    else:
        notes.append("Memory was not measured: this system does not tell the peak of the resident set.")
    return Report(results, options.threads, peak, difference, notes)


def _against_paddle(measured: Sequence[Result], shapes: Sequence[Shape], effort: Effort, threads: int) -> Measured:
    """In a fresh process: Paddle's layers against ours, both on so many threads."""
    torch.set_num_threads(threads)
    import_paddle().base.core.set_num_threads(threads)
    return run_paddle(measured, shapes, effort, say)


def _peaks(layers: Sequence[str], shapes: Sequence[Shape], threads: int) -> Iterator[Result]:
    """Memory, a process for each figure."""
    for layer, shape in itertools.product(layers, shapes):
        say(f"memory of {layer} {shape}")
        ours, theirs = (in_fresh_process(memory.peak_growth, layer, shape, own, threads) for own in (True, False))
        yield Result(
            layer, str(shape), "memory", "torch.nn", "MB", ours / 1e6, theirs / 1e6, theirs / ours, MEMORY.get(shape)
        )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = command.parser("python -m benchmarks.layers", __doc__, "two shapes, few rounds: does it run at all?")
    parser.add_argument("--only", nargs="+", metavar="LAYER", help=f"some of: {', '.join(LAYERS)}")
    parser.add_argument("--shape", nargs="+", metavar="SHAPE", help="shapes by their beginning: B8, 'B64 T20'")
    options = command.parse(parser, arguments)
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


if __name__ == "__main__":
    sys.exit(main())
