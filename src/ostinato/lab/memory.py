"""The memory experiment: what is left of a beginning after a wait? A population of networks a cell and a length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .. import train
from ..cell import Cell
from ..cells import CELLS, find
from ..derive.numba_source import kernel_source
from ..errors import DataError
from ..files import is_half_written
from . import store
from .environment import machine, now, versions
from .lock import lock
from .networks import Group, load_data, load_network, train_group, training_file
from .recipe import Settings
from .results import Result, Run
from .runs import ordered
from .workers import Tell
from .workers import run as run_workers

# Networks of a population: more are hardly faster each. Where there are few populations they are smaller, so that more
# than one processor has work. It depends on the settings alone: any machine can go on where another one stopped.
_MEMBERS, _MEMBERS_OF_FEW, _FEW = 16, 8, 3


@dataclass(frozen=True)
class Progress:
    """What has just been looked at, and where the whole is.

    Attributes:
        group: a population in training, and where it is.
        finished: how many of `count` populations are trained.
        fraction: how much of the work of the run is done, 0 to 1.
    """

    group: Group
    training: train.PopulationProgress
    finished: int
    count: int
    fraction: float


#: What is told of the progress of a run.
Listener = Callable[[Progress], None]


def run(
    settings: Settings,
    folder: str | Path,
    own: Mapping[str, Cell] | None = None,
    progress: Listener = lambda _: None,
    workers: int = 1,
) -> list[Result]:
    """Train what the folder does not hold yet; the results are in `folder/run.sqlite`, the models beside it.

    Killed at any moment, the same call goes on and ends with the same numbers, but for the time it took.

    Args:
        own: cells that are not of the library, by their names in the settings.
        workers: processes, each of which trains a population; 1: this process does. More than one start the program
            afresh, so a script of one's own calls this below `if __name__ == "__main__":`.

    Raises:
        DataError: the folder belongs to a run with other settings, or to another process, or data files are wrong.
        KeyboardInterrupt: Ctrl-C, after the state of the training is written.
    """
    folder = Path(folder)
    cells = {name: (own or {}).get(name) or find(name) for name in settings.cells}
    _check_labels(cells)
    if settings.data is not None:
        for length in settings.lengths:
            load_data(settings, length, settings.seed)
    _check_folder(folder)
    with lock(folder), _claim(settings, cells, folder) as kept:
        groups = _groups(settings, list(cells.values()))
        have = {(result.cell, result.length, result.seed) for result in kept.results(curves=False)}
        missing = [g for g in groups if (g.cell.name, g.length, g.seeds[0]) not in have]
        _sweep(folder, missing)
        _train(settings, groups, missing, folder, kept, workers, progress)
    return finished(folder)


def _train(
    settings: Settings,
    groups: list[Group],
    missing: list[Group],
    folder: Path,
    kept: store.Store,
    workers: int,
    progress: Listener,
) -> None:
    """Train the missing groups, the longest first, and keep their results."""
    missing = sorted(missing, key=_cost, reverse=True)
    done = {group: float(group not in missing) for group in groups}

    def hear(index: int, training: train.PopulationProgress) -> None:
        group = missing[index]
        done[group] = training.step / training.steps
        finished = sum(part == 1 for part in done.values())
        fraction = sum(_cost(g) * part for g, part in done.items()) / sum(map(_cost, groups))
        progress(Progress(group, training, finished, len(groups), fraction))

    # Closed, or whatever is wrong here would leave workers at work behind it.
    with closing(run_workers(partial(_train_group, settings, folder), missing, workers, hear)) as outcomes:
        for index, results in outcomes:
            kept.add(results)
            training_file(folder, missing[index]).unlink()
            done[missing[index]] = 1.0


def _train_group(settings: Settings, folder: Path, group: Group, tell: Tell) -> list[Result]:
    return train_group(settings, group, folder, tell)


def _cost(group: Group) -> int:
    """Of training, about: the time of a step grows with the length and with the gates."""
    return group.length * (1 + len(group.cell.gates)) * len(group.seeds)


def finished(folder: str | Path) -> list[Result]:
    """The results that the folder of a run holds, by length, cell and seed; none where there is no run."""
    if not (Path(folder) / store.FILE).exists():
        return []
    with store.open_store(folder, read_only=True) as kept:
        return ordered(kept.run(), kept.results())


def about(folder: str | Path) -> Run:
    """How the run of a folder was made."""
    with store.open_store(folder, read_only=True) as kept:
        return kept.run()


def network(folder: str | Path, cell: str | Cell, length: int, seed: int) -> Any:
    """The best model of one network of a run, as an ordinary module: a `SequenceClassifier`, or a `SequenceTagger`.

    Args:
        cell: the name that the results have; a cell of one's own is given itself.

    Raises:
        DataError: the run has no such network.
    """
    known = cell if isinstance(cell, Cell) else find(cell)
    with store.open_store(folder, read_only=True) as kept:
        kept_run, results = kept.run(), kept.results(curves=False)
    settings = _settings(kept_run)
    if (known.name, length, seed) not in {(result.cell, result.length, result.seed) for result in results}:
        raise DataError(f"{folder} holds no network of cell {known}, length {length} and seed {seed}")
    if _definition(known) not in kept_run.settings["definitions"]:
        raise DataError(f"{folder} was trained with another cell called '{known}' than this one")
    groups = _groups(settings, [known] * len(settings.cells))
    group = next(group for group in groups if group.length == length and seed in group.seeds)
    return load_network(settings, group, seed, Path(folder))


def _check_labels(cells: Mapping[str, Cell]) -> None:
    """No two cells may have one name: the results could not tell them apart."""
    names: dict[str, str] = {}
    for spec, cell in cells.items():
        if cell.name in names:
            raise DataError(f"{names[cell.name]} and {spec} are both called '{cell.name}': give one another name")
        if spec != cell.name and cell.name in CELLS:
            raise DataError(f"{spec} is called like the cell '{cell.name}' of the library: give it another name")
        names[cell.name] = spec


def _check_folder(folder: Path) -> None:
    if not (folder / store.FILE).exists() and folder.exists():
        strange = [] if folder.is_dir() else [folder]
        ours = ("run.lock", "run.holder")
        strange = strange or [p for p in folder.iterdir() if p.name not in ours and not is_half_written(p)]
        if strange:
            raise DataError(
                f"{folder} is there already and is not the folder of a run: choose another, or an empty one"
            )


def _claim(settings: Settings, cells: Mapping[str, Cell], folder: Path) -> store.Store:
    """Begin the run, or see that the one in the folder is the same."""
    measures = {"metric": settings.found_task.metric, "threshold": settings.found_task.threshold}
    prints = {"definitions": [_definition(cell) for cell in cells.values()], "fingerprint": _fingerprint(settings)}
    described = {**_as_json(settings), **measures, **prints}
    if not (folder / store.FILE).exists():
        run = Run("memory", settings.command(), described, versions(), machine(), now())
        return store.create(folder, run)
    theirs = about(folder)
    for name, new in described.items():
        old = theirs.settings.get(name)
        if name in prints and old != new:
            what = "data" if name == "fingerprint" else "cells of these names"
            raise DataError(f"{folder} holds networks of other {what}: choose another folder")
        if old != new:
            raise DataError(
                f"{folder} holds a run with {name.replace('_', ' ')} {_words(old)}, not {_words(new)}: "
                "continue it with its own settings, or choose another folder"
            )
    for package, old in theirs.versions.items():
        new = versions().get(package, "none")
        if package != "ostinato" and _release(old) != _release(new):
            raise DataError(
                f"{folder} was begun with {package} {old}, this is {new}: the networks of a run are trained by one "
                "version; choose another folder"
            )
    return store.open_store(folder)


def _release(version: str) -> str:
    """1.2 of 1.2.3+cpu: what decides how numbers round."""
    return ".".join(version.partition("+")[0].split(".")[:2])


def _definition(cell: Cell) -> str:
    """Of what the settings only name: what a cell computes."""
    return hashlib.sha256(kernel_source(cell).encode()).hexdigest()[:16]


def _fingerprint(settings: Settings) -> str:
    """Of the examples of the first seed, which may come from files."""
    digest = hashlib.sha256()
    for length in settings.lengths:
        for split in load_data(settings, length, settings.seed):
            for tensor in split or ():
                digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()[:16]


def _sweep(folder: Path, missing: list[Group]) -> None:
    """Remove what a killed process was writing, or had no time to remove."""
    training = folder / "training"
    training.mkdir(exist_ok=True)
    wanted = [training_file(folder, group) for group in missing]
    ended = [path for path in training.glob("*.safetensors") if path not in wanted]
    for path in (*ended, *filter(is_half_written, (*folder.glob(".*"), *folder.glob("*/.*")))):
        path.unlink()


def _groups(settings: Settings, cells: list[Cell]) -> list[Group]:
    """Every population of the run, in the order of its results."""
    seeds = settings.members
    size = _MEMBERS if len(cells) * len(settings.lengths) > _FEW else _MEMBERS_OF_FEW
    pieces = [seeds[k : k + size] for k in range(0, len(seeds), size)]
    return [Group(cell, length, piece) for length in settings.lengths for cell in cells for piece in pieces]


def _as_json(settings: Settings) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}


def _settings(run: Run) -> Settings:
    names = Settings.__dataclass_fields__
    found = {name: value for name, value in run.settings.items() if name in names}
    return Settings(**{**found, "cells": tuple(found["cells"]), "lengths": tuple(found["lengths"])})


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
