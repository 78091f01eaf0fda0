"""Handwritten digits, pixel by pixel: real data, and a class that only the whole of a sequence tells."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError
from . import drawing
from .task import Data, Examples, Recipe, Task

PIXELS = 64
DEV, TEST = 200, 300


class Digits(Task):
    """1,797 images of 8 x 8 pixels, read row by row from the top left; the class is the digit.

    A pixel is a number from 0, paper, to 1, ink. There is no other length than 64.

    A seed decides which 1,297 are there to train on, which 200 for dev and which 300 to test. `sample` draws from all
    of them, test included: it is there to look at, not to train on.

    Source: Alpaydin & Kaynak, Optical Recognition of Handwritten Digits, 1998, the test part, as scikit-learn has it.
    Pixel by pixel: Le, Jaitly & Hinton, 2015, with the 784 pixels of MNIST. For comparison, scikit-learn's own example,
    a support vector machine that sees the whole image, gets 97 % after half of the images.
    Chance: 183/1797, the share of the most frequent digit, 3.

    Example:
        >>> (inputs,), (target,) = Digits().sample(length=64, count=1, seed=(0,))
        >>> for row in inputs.view(8, 8):
        ...     print("".join(".:-=+*%#@"[int(8 * pixel)] for pixel in row))
        ..-#%:..
        ..@%@#..
        .=#.-@-.
        .:##@#..
        ..-@@*..
        ..*%+@-.
        ..@*%@:.
        ..=@%=..
        >>> target.item()
        8
    """

    name = "digits"
    input_size = 1
    outputs = 10
    lengths = (PIXELS,)
    shortest = PIXELS
    recipe = Recipe(steps=6000, hidden_size=64, learning_rate=3e-3)

    def chance(self, length: int) -> float:
        return 183 / 1797

    def sample(self, length: int, count: int, seed: tuple[int, ...]) -> Examples:
        self.check(length, count, seed)
        images, classes = _images()
        drawn = torch.from_numpy(drawing.integers(drawing.stream(seed), len(images), count))
        return Examples(images[drawn], classes[drawn])

    def data(self, length: int, seed: int) -> Data:
        """The images in three parts. Raises DataError for another length than 64, or a negative seed."""
        self.check(length, 1, (seed,))
        images, classes = _images()
        shuffled = torch.from_numpy(drawing.order(drawing.stream((seed,)), len(images)))
        parts = shuffled.split([len(images) - DEV - TEST, DEV, TEST])
        return Data(*(Examples(images[part], classes[part]) for part in parts))

    def check(self, length: int, count: int, seed: tuple[int, ...]) -> None:
        if length != PIXELS:
            raise DataError(f"length {length} is not possible for {self.name}: an image has {PIXELS} pixels")
        super().check(length, count, seed)


@lru_cache
def _images() -> tuple[Tensor, Tensor]:
    """All images [1797, 64, 1] float32 and their classes [1797] int64."""
    from sklearn.datasets import load_digits  # takes a second to import, and no other task needs it

    pixels, classes = load_digits(return_X_y=True)
    images = (pixels / 16).astype(np.float32)[..., None]
    return torch.from_numpy(images), torch.from_numpy(classes.astype(np.int64))
