"""DigitSum: two digits, then a wait, then the question for their sum. The longer the wait, the more to remember."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from ..files import write_atomically

#: A sum of two digits: 0 to 18.
CLASSES = 19

_FORM = "a line is the digits with a space between, a tab, and the sum of the first two"


class Examples(NamedTuple):
    """Sequences `digits` [N, L] and their `labels` [N], both int64."""

    digits: Tensor
    labels: Tensor


@dataclass(frozen=True)
class DigitSum:
    """The examples to train on, to choose the best model by, and to test.

    The first two numbers of a sequence are digits, the rest are zeros, and the label is their sum. Every one of the
    100 pairs of digits is there, and in each sequence one random position from the third on is overwritten by a
    random digit: something to ignore.

    Example:
        >>> data = DigitSum.generate(length=6, seed=0)
        >>> len(data.train.labels), len(data.dev.labels), len(data.test.labels)
        (300, 100, 100)
        >>> data.test.digits[67].tolist()  # 6 and 7, then zeros, but for a 1
        [6, 7, 1, 0, 0, 0]
        >>> data.test.labels[67].item()
        13
    """

    train: Examples
    dev: Examples
    test: Examples

    @property
    def length(self) -> int:
        return self.train.digits.shape[1]

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
        splits = enumerate((copies, 1, 1))
        return cls(*(_generate(length, count, np.random.SeedSequence([seed, length, i])) for i, count in splits))

    @classmethod
    def read(cls, folder: str | Path) -> DigitSum:
        """Read `train.txt`, `dev.txt` and `test.txt` of a folder: digits with a space between, a tab, the label.

        Raises:
            DataError: a file that is missing or not of this form; the message names the file, the line and the value.
        """
        paths = [Path(folder) / f"{name}.txt" for name in ("train", "dev", "test")]
        splits = [_read(path) for path in paths]
        for path, split in zip(paths, splits, strict=True):
            if split.digits.shape[1] != splits[0].digits.shape[1]:
                raise DataError(
                    f"{path} holds sequences of {split.digits.shape[1]} digits, but {paths[0]} of "
                    f"{splits[0].digits.shape[1]}: the files of one folder are of one length"
                )
        return cls(*splits)

    def write(self, folder: str | Path) -> None:
        """Write `train.txt`, `dev.txt` and `test.txt`, as `read` reads them; the folder is made if need be."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        for name in ("train", "dev", "test"):
            _write(Path(folder) / f"{name}.txt", getattr(self, name))


def _generate(length: int, copies: int, seed: np.random.SeedSequence) -> Examples:
    first, second = np.indices((10, 10)).reshape(2, 100).repeat(copies, axis=1)
    digits = np.zeros((first.size, length), dtype=np.int64)
    # NumPy promises the raw stream of a bit generator for ever, that of Generator.integers it does not; the
    # remainders of 64 random bits favour small numbers by less than one part in 10^17.
    position, digit = np.random.PCG64(seed).random_raw((2, first.size))
    digits[np.arange(first.size), 2 + position % (length - 2)] = digit % 10
    digits[:, 0], digits[:, 1] = first, second
    return Examples(torch.from_numpy(digits), torch.from_numpy(first + second))


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
    lines = zip(examples.digits.tolist(), examples.labels.tolist(), strict=True)
    text = "".join(f"{' '.join(map(str, digits))}\t{label}\n" for digits, label in lines)
    write_atomically(path, text.encode())
