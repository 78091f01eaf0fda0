"""DigitSum: two digits, then a wait, then the question for their sum. The longer the wait, the more to remember."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from ..errors import DataError
from ..files import write_atomically
from . import drawing
from .task import Data, Examples, Recipe, Task

#: A sum of two digits: 0 to 18.
CLASSES = 19

_FORM = "a line is the digits with a space between, a tab, and the sum of the first two"


@dataclass(frozen=True)
class DigitSum:
    """The examples to train on, to choose the best model by, and to test.

    The first two numbers of a sequence are digits, the rest are zeros, and the label is their sum. Every one of the
    100 pairs of digits is there, and in each sequence one random position from the third on is overwritten by a
    random digit: something to ignore.

    Example:
        >>> data = DigitSum.generate(length=6, seed=0)
        >>> len(data.train.targets), len(data.dev.targets), len(data.test.targets)
        (300, 100, 100)
        >>> data.test.inputs[67].tolist()  # 6 and 7, then zeros, but for a 1
        [6, 7, 1, 0, 0, 0]
        >>> data.test.targets[67].item()
        13
    """

    train: Examples
    dev: Examples
    test: Examples

    @property
    def length(self) -> int:
        return self.train.inputs.shape[1]

    @classmethod
    def generate(cls, length: int, copies: int = 3, seed: int = 0) -> DigitSum:
        """The data of a seed, the same for ever: `copies` sequences a pair to train on, one for dev, one for test.

        Raises:
            DataError: a length below 3, no copies, or a negative seed.
        """
        if length < 3:
            raise DataError(f"a DigitSum sequence of length {length} has no place to wait: the length is at least 3")
        if copies < 1:
            raise DataError(f"copies is {copies}; every pair of digits needs at least 1")
        if seed < 0:
            raise DataError(f"the seed is {seed}; it must be 0 or more")
        seeds = [np.random.SeedSequence([seed, length, split]) for split in range(3)]
        counts = (copies, 1, 1)
        return cls(*(_generate(length, n, np.random.PCG64(s)) for n, s in zip(counts, seeds, strict=True)))

    @classmethod
    def read(cls, folder: str | Path) -> DigitSum:
        """Read `train.txt`, `dev.txt` and `test.txt` of a folder: digits with a space between, a tab, the label.

        Raises:
            DataError: a file that is missing or not of this form; the message names the file, the line and the value.
        """
        paths = [Path(folder) / f"{name}.txt" for name in ("train", "dev", "test")]
        splits = [_read(path) for path in paths]
        for path, split in zip(paths, splits, strict=True):
            if split.inputs.shape[1] != splits[0].inputs.shape[1]:
                raise DataError(
                    f"{path} holds sequences of {split.inputs.shape[1]} digits, but {paths[0]} of "
                    f"{splits[0].inputs.shape[1]}: the files of one folder are of one length"
                )
        return cls(*splits)

    def write(self, folder: str | Path) -> None:
        """Write `train.txt`, `dev.txt` and `test.txt`, as `read` reads them; the folder is made if need be."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in ("train", "dev", "test"):
            _write(Path(folder) / f"{name}.txt", getattr(self, name))


class DigitSumTask(Task):
    """Two digits, then zeros with one stray digit among them; the class is the sum of the two, 0 to 18.

    There are 300 fixed examples to train on, every pair of digits three times, and 100 each for dev and test.

    Source: the memory experiment of a course on neural networks; 500 epochs of Adam, in batches of 8.
    Chance: 1/10, as ten of the hundred pairs make 9, and no other sum has more.

    Example:
        >>> (inputs,), (target,) = DigitSumTask().sample(length=6, count=1, seed=(0,))
        >>> inputs.tolist(), target.item()
        ([7, 6, 0, 8, 0, 0], 13)
        >>> len(DigitSumTask().data(length=6, seed=0).train.targets)
        300
    """

    name = "digit-sum"
    num_embeddings = 10
    outputs = CLASSES
    lengths = (10, 15, 20, 25, 30, 35)
    shortest = 3
    recipe = Recipe(steps=19000, batch_size=8, clip_norm=None)  # 500 epochs of 38 batches

    def chance(self, length: int) -> float:
        return 1 / 10

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        """Fresh examples of the same form, of random pairs."""
        self.check(length, count, seed)
        bits = drawing.stream(seed)
        first, second = drawing.integers(bits, 10, (2, count))
        return _fill(first, second, length, bits)

    def data(self, length: int, seed: int) -> Data:
        """`DigitSum.generate`."""
        data = DigitSum.generate(length, seed=seed)
        return Data(data.train, data.dev, data.test)


def _generate(length: int, copies: int, bits: np.random.PCG64) -> Examples:
    first, second = np.indices((10, 10)).reshape(2, 100).repeat(copies, axis=1)
    return _fill(first, second, length, bits)


def _fill(first: drawing.Integers, second: drawing.Integers, length: int, bits: np.random.PCG64) -> Examples:
    """The two digits, zeros, and a random digit at one random position of those."""
    inputs = np.zeros((first.size, length), dtype=np.int64)
    position = drawing.integers(bits, length - 2, first.size)
    inputs[np.arange(first.size), 2 + position] = drawing.integers(bits, 10, first.size)
    inputs[:, 0], inputs[:, 1] = first, second
    return Examples(torch.from_numpy(inputs), torch.from_numpy(first + second))


def _read(path: Path) -> Examples:
    rows, labels = [], []
    for number, line in enumerate(_lines(path), start=1):
        try:
            digits, label = _parse(line)
            if rows and len(digits) != len(rows[0]):
                raise DataError(
                    f"{len(digits)} digits, but the first line has {len(rows[0])}: all lines are of one length"
                )
        except DataError as error:
            raise DataError(f"{path}, line {number}: {error}") from None
        rows.append(digits)
        labels.append(label)
    return Examples(torch.tensor(rows), torch.tensor(labels))


def _lines(path: Path) -> list[str]:
    try:
        content = path.read_bytes()
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataError(f"{path}: {reason}; a DigitSum folder holds train.txt, dev.txt and test.txt") from None
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}, line {line}: byte 0x{content[error.start]:02x} is not UTF-8; {_FORM}") from None
    if not text.strip():
        raise DataError(f"{path} is empty; {_FORM}")
    return text.replace("\r\n", "\n").removesuffix("\n").split("\n")


def _parse(line: str) -> tuple[list[int], int]:
    """The digits and the label of one line; the DataErrors do not know the place."""
    text, tab, label = line.partition("\t")
    if not tab:
        raise DataError(f"no tab in {line!r}; {_FORM}")
    words = text.split(" ")
    for word in words:
        if len(word) != 1 or word not in "0123456789":
            raise DataError(f"{word!r} is not a digit from 0 to 9; {_FORM}")
    if len(words) < 3:
        raise DataError(f"{len(words)} digit(s) in {text!r}; a sequence has at least 3")
    digits = [int(word) for word in words]
    total = digits[0] + digits[1]
    if label != str(total):
        raise DataError(f"the label is {label!r}; the first two digits, {digits[0]} and {digits[1]}, make {total}")
    return digits, total


def _write(path: Path, examples: Examples) -> None:
    lines = zip(examples.inputs.tolist(), examples.targets.tolist(), strict=True)
    text = "".join(f"{' '.join(map(str, digits))}\t{label}\n" for digits, label in lines)
    write_atomically(path, text.encode())
