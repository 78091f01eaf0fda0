"""What the benchmarks share as commands: options, exit status, processes of their own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import torch
from rich.console import Console

from .comparison import DifferenceError
from .report import Report

T = TypeVar("T")


def execute(measure: Callable[[argparse.Namespace], Report], options: argparse.Namespace) -> int:
    """Measure, print, write; returns the exit status: 1 if short where --require asks, 2 if numbers differ."""
    torch.set_num_threads(options.threads)
    try:
        report = measure(options)
    except DifferenceError as difference:
        print(f"refused, nothing is timed: {difference}", file=sys.stderr)
        return 2
    console = Console()
    report.print(console if console.is_terminal else Console(width=130))
    if options.json:
        report.write(options.json)
        say(f"all figures are in {options.json}")
    return 1 if options.require and report.short else 0


def parser(prog: str, description: str | None, quick: str) -> argparse.ArgumentParser:
    """The options that every benchmark has; `quick` says what --quick does."""
    made = argparse.ArgumentParser(
        prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--threads", type=int, default=2, help="of every library (2)")
    made.add_argument("--quick", action="store_true", help=quick)
    made.add_argument("--json", type=Path, metavar="FILE", help="write all figures")
    made.add_argument("--require", action="store_true", help="exit with 1 where a required ratio is not reached")
    return made


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """The options, those that every benchmark has being checked."""
    options = parser.parse_args(arguments)
    if options.threads < 1:
        parser.error(f"--threads is {options.threads}: at least 1")
    return options


def busy() -> Iterator[str]:
    """A word of warning if others use the machine: two threads that wait for a third program show any time at all."""
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > cores / 4:
        yield f"The machine was busy at the start (a load of {load:.1f} on {cores} cores): take no time for certain."


def in_fresh_process(function: Callable[..., T], *arguments: object) -> T:
    """Call a function of a module where nothing has been imported yet."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def say(message: str) -> None:
    """Progress, beside the tables on stdout."""
    print(message, file=sys.stderr, flush=True)
