"""The run that is kept in a file of every version of the tables: what may be odd is in it.

    python tests/compat/example.py tests/compat/run-v2.sqlite

writes the file of a new version, to be committed. The file of an old version is never written again.
"""

import math
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from ostinato.lab.results import Curve, Result, Run
from ostinato.lab.store import FILE, create

RUN = Run(
    experiment="memory",
    command="ostinato memory --cells srn lstm --lengths 10 20 --seeds 2",
    settings={
        "task": "digit-sum",
        "metric": "accuracy",
        "threshold": 0.9,
        "cells": ["srn", "lstm"],
        "lengths": [10, 20],
        "seeds": 2,
        "seed": 5,
        "clip_norm": None,
        "note": "naïve 中文",
    },
    versions={"python": "3.11.7", "torch": "2.13.0"},
    machine={"processor": "AMD EPYC", "cores": "2", "threads": "1", "system": "Linux x86_64"},
    started="2026-01-31T12:00:00+00:00",
)

NAN, INFINITE = math.nan, math.inf

SLOW = Curve([100, 200], [2.0, 1.0], [3.0, 2.0], [0.5, 0.2])
WILD = Curve([10, 20], [1.5, INFINITE], [1.5, NAN], [0.1, NAN])

RESULTS = [
    Result(
        "srn",
        20,
        6,
        0.25,
        0.125,
        100,
        None,
        200,
        "finished",
        1.5,
        Curve([100, 200], [2.0, 1.0], [3.0, 2.0], [0.5, 0.2]),
    ),
    Result("lstm", 10, 5, 1.0, 0.9375, 200, 200, 200, "finished", 2.0, Curve([200], [0.5], [0.25], [1.0])),
    Result(
        "lstm", 20, 5, 0.1, 0.1, 10, None, 30, "diverged", 0.1, Curve([10, 20], [1.5, INFINITE], [1.5, NAN], [0.1, NAN])
    ),
    Result("srn", 10, 2**62, NAN, NAN, 0, None, 1, "diverged", 0.0, Curve()),
]


def main() -> None:
    path = Path(sys.argv[1])
    if path.exists():
        sys.exit(f"{path} is there already: a file of an old version is never written again")
    with TemporaryDirectory() as folder:
        with create(folder, RUN) as store:
            store.add(RESULTS)
        shutil.move(Path(folder) / FILE, path)


if __name__ == "__main__":
    main()
