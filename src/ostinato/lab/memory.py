"""The memory experiment: how much of two digits is left after a wait? One network a cell and a length."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path

import torch

from .. import train
from ..cells import find
from ..errors import DataError
from ..files import write_atomically
from ..nn import SequenceClassifier, xavier_initialise
from ..tasks import DigitSum
from ..tasks.digit_sum import CLASSES


@dataclass(frozen=True)
class Settings:
    """The recipe. Equal settings give equal results; `data` is a folder of text files for each length, or None.

    Raises:
        DataError: a cell that there is not, a length below 3, anything else below 1, a name or a length twice.
    """

    cells: tuple[str, ...] = ("srn", "lstm")
    lengths: tuple[int, ...] = (10, 15, 20, 25, 30, 35)
    epochs: int = 500
    seed: int = 0
    data: str | None = None
    units: int = 32
    batch_size: int = 8
    learning_rate: float = 1e-3
    evaluate_every: int = 100

    def __post_init__(self) -> None:
        for cell in self.cells:
            find(cell)
        for length in self.lengths:
            if length < 3:
                raise DataError(f"length {length} is too short: two digits and a wait take at least 3")
        for name in ("cells", "lengths"):
            values = getattr(self, name)
            if not values:
                raise DataError(f"no {name} are given; at least one is needed")
            twice = [value for i, value in enumerate(values) if value in values[:i]]
            if twice:
                raise DataError(f"{twice[0]!r} is there twice among the {name}; once is enough")
        for name in ("epochs", "units", "batch_size", "evaluate_every"):
            if getattr(self, name) < 1:
                raise DataError(f"{name} is {getattr(self, name)}; it must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise DataError(f"the seed is {self.seed}; it must be from 0 to {2**63 - 1}")


@dataclass(frozen=True)
class Result:
    """One trained network: the best of its evaluations on dev, and what that model scores on test.

    `majority` is the test accuracy of always answering the most frequent sum of the training examples.
    """

    cell: str
    length: int
    best_step: int
    dev_accuracy: float
    test_accuracy: float
    test_examples: int
    majority: float
    steps: int
    seconds: float
    backend: str


@dataclass(frozen=True)
class Job:
    """A network in training, number `number` of `count`; `begin` and `share` place it in the work of this call."""

    cell: str
    length: int
    number: int
    count: int
    begin: float
    share: float

    def fraction(self, progress: train.Progress) -> float:
        """How much of the work of this call is done, 0 to 1."""
        return self.begin + self.share * progress.step / progress.steps


Report = Callable[[Job, train.Progress], None]


def run(settings: Settings, folder: str | Path, progress: Report = lambda *_: None) -> list[Result]:
    """Train what the folder does not hold yet; every network is written as soon as it is finished.

    `folder/<cell>-<length>/` gets `best.safetensors`, `history.json` and `result.json`.

    Raises:
        DataError: the folder belongs to a run with other settings, or the data files are wrong.
        KeyboardInterrupt: Ctrl-C, after `history.json` is written. The same call continues with what is missing.
    """
    folder = Path(folder)
    data = {length: load(settings, length) for length in settings.lengths}
    _claim(folder, settings)
    _claim_data(folder, data)
    for job in _missing(settings, folder):
        target = network_folder(folder, job.cell, job.length)
        result = _train(settings, job.cell, data[job.length], target, partial(progress, job))
        train.write_record(result, target / "result.json")
    return finished(settings, folder)


def finished(settings: Settings, folder: str | Path) -> list[Result]:
    """The results that the folder of a run holds, in the order of the settings."""
    paths = [network_folder(folder, cell, length) / "result.json" for cell, length in _networks(settings)]
    return [train.read_record(Result, path) for path in paths if path.exists()]


def network_folder(folder: str | Path, cell: str, length: int) -> Path:
    """Where a run keeps one network."""
    return Path(folder) / f"{cell}-{length}"


def load(settings: Settings, length: int) -> DigitSum:
    """The data of one length: generated, or read from `settings.data/<length>`."""
    if settings.data is None:
        return DigitSum.generate(length, seed=settings.seed)
    folder = Path(settings.data) / str(length)
    data = DigitSum.read(folder)
    if data.length != length:
        raise DataError(f"{folder} holds sequences of length {data.length}, not {length}")
    return data


def _networks(settings: Settings) -> list[tuple[str, int]]:
    return [(cell, length) for length in settings.lengths for cell in settings.cells]


def _missing(settings: Settings, folder: Path) -> Iterator[Job]:
    networks = _networks(settings)
    missing = [pair for pair in networks if not (network_folder(folder, *pair) / "result.json").exists()]
    work = sum(length for _, length in missing)  # the time of a step grows with the length
    begin = 0.0
    for number, (cell, length) in enumerate(missing, start=len(networks) - len(missing) + 1):
        yield Job(cell, length, number, len(networks), begin, length / work)
        begin += length / work


def _claim(folder: Path, settings: Settings) -> None:
    """Make the folder one of these settings, or see that it is."""
    path = folder / "settings.json"
    if path.exists():
        theirs, ours = train.read_record(Settings, path), settings
        for field in fields(Settings):
            old, new = getattr(theirs, field.name), getattr(ours, field.name)
            if old != new:
                raise DataError(
                    f"{folder} holds a run with {field.name} {_words(old)}, not {_words(new)}: "
                    "continue it with its own settings, or choose another folder"
                )
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise DataError(f"{folder} is there already and is not the folder of a run: choose another, or an empty one")
    else:
        folder.mkdir(parents=True, exist_ok=True)
        train.write_record(settings, path)


def _claim_data(folder: Path, data: dict[int, DigitSum]) -> None:
    """See that what was trained so far was trained on the same examples."""
    tensors = (tensor for d in data.values() for split in (d.train, d.dev, d.test) for tensor in split)
    digest = hashlib.sha256(b"".join(tensor.numpy().tobytes() for tensor in tensors)).hexdigest()
    path = folder / "data.sha256"
    if not path.exists():
        write_atomically(path, digest.encode())
    elif path.read_text() != digest:
        raise DataError(f"{folder} holds networks that were trained on other data: choose another folder")


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _train(
    settings: Settings, cell: str, data: DigitSum, folder: Path, progress: Callable[[train.Progress], None]
) -> Result:
    torch.manual_seed(settings.seed)
    size = settings.units
    model = SequenceClassifier(10, CLASSES, cell=cell, embedding_dim=size, hidden_size=size, bias="single")
    optimizer = torch.optim.Adam(xavier_initialise(model).parameters(), settings.learning_rate, fused=True)
    runner = train.Runner(
        model, optimizer, batch_size=settings.batch_size, evaluate_every=settings.evaluate_every, seed=settings.seed
    )
    history = runner.fit(data.train, data.dev, epochs=settings.epochs, folder=folder, progress=progress)
    if history.interrupted:
        raise KeyboardInterrupt
    assert history.best is not None  # there is an evaluation after the last step
    train.load_weights(model, folder / "best.safetensors")
    (test_accuracy,) = train.evaluate(model, data.test, train.accuracy)
    return Result(
        cell=cell,
        length=data.length,
        best_step=history.best.step,
        dev_accuracy=history.best.score,
        test_accuracy=test_accuracy,
        test_examples=len(data.test.targets),
        majority=(data.test.targets == data.train.targets.mode().values).double().mean().item(),
        steps=len(history.train_loss),
        seconds=history.seconds,
        backend=model.recurrent.ran_on,
    )
