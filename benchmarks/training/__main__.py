"""Time one training step of small networks, by the population: `python -m benchmarks.training`.

What is trained is the network that a course on recurrent networks starts with: it reads two digits, waits, and says
their sum. A digit is a vector of 32 numbers, an LSTM (or an SRN) of 32 units reads 20 of them, and a linear layer names
one of 19 sums. A step is a batch of 8 sequences forward, cross-entropy, backward and Adam, in float32. Every network
has its own weights and its own batches, which lie ready.

All times are those of one network: of a population, the time of a step divided by its networks. Against it are timed

  torch.nn       one network, eager, with torch's fused Adam
  JAX            as many networks as the population has: jit(vmap(step)) with lax.scan, all state donated; on one
                 device, where XLA keeps to one core here, and spread over a device for each thread
  paddle.nn      one network with Paddle's own layer
  course's own   one network with a layer as a course writes it, in Paddle: a loop over time, the gates one by one

First all train three steps from the same weights on the same batches, and their losses and all parameters are compared,
network by network; no time is shown if two differ (exit status 2). Falling short of a required ratio is shown; with
--require it is exit status 1. Beside a ratio stands the middle half of the rounds that it is the median of: that is the
noise, and a requirement makes no allowance for it.

JAX and Paddle have processes of their own: JAX takes turns with ours there, Paddle is timed alone, since its idle
threads keep a core busy. What is not installed (the extra `bench`) is left out, and the report says so.

`python -m benchmarks.layers` times layers alone. `make bench` runs both.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from .. import command
from ..command import in_fresh_process, say
from ..comparison import TRAINED_TOLERANCE
from ..contestants import has_paddle
from ..report import Report
from ..requirements import POPULATIONS
from ..timing import QUICK, Effort
from .cases import run, run_jax, run_paddle
from .jax_contestant import has_jax
from .task import KINDS

#: Turns of several calls even where one takes 10 ms: the first, which finds the threads of another, is not counted.
FULL = Effort(seconds=2.0, turn=0.03)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; returns its exit status."""
    return command.execute(_measure, _parse(arguments))


def _measure(options: argparse.Namespace) -> Report:
    kinds, threads, effort = options.only, options.threads, QUICK if options.quick else FULL
    populations = (2, 4) if options.quick else POPULATIONS
    notes = list(command.busy())
    found = [run(kinds, populations, effort, say)]
    if has_jax():
        found.append(in_fresh_process(run_jax, kinds, populations[0], threads, effort, say))
    else:
        notes.append("JAX is not installed (the extra `bench`): nothing was measured against it.")
    if has_paddle():
        ours = [r for r in found[0].results if r.peer == "torch.nn" and r.networks == populations[0]]
        found.append(in_fresh_process(run_paddle, ours, threads, effort, say))
    else:
        notes.append("Paddle is not installed (the extra `bench`): nothing was measured against it.")
    results = [result for kind in kinds for part in found for result in part.results if result.layer == kind]
    return Report(
        results,
        threads,
        peak=found[0].peak,
        difference=max(part.difference for part in found),
        notes=notes,
        tolerance=TRAINED_TOLERANCE,
        difference_of="the way that the weights of a network went in three steps",
    )


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    quick = "populations of 2 and 4, few rounds: does it run at all?"
    parser = command.parser("python -m benchmarks.training", __doc__, quick)
    parser.add_argument("--only", nargs="+", metavar="NETWORK", help=f"some of: {', '.join(KINDS)}")
    options = command.parse(parser, arguments)
    unknown = [name for name in options.only or () if name.upper() not in KINDS]
    if unknown:
        parser.error(f"no network is called {unknown[0]!r}; there are: {', '.join(KINDS)}")
    options.only = [name.upper() for name in options.only or KINDS]
    return options


if __name__ == "__main__":
    sys.exit(main())
