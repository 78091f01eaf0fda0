"""Random numbers that are the same for ever: NumPy promises the raw bits of a generator, not what it makes of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


def stream(seed: tuple[int, ...]) -> np.random.PCG64:
    """The random bits of a seed, whose numbers are 0 or more; other seeds have other bits.

    Example:
        >>> integers(stream((7, 20)), 10, 8).tolist()
        [4, 6, 8, 6, 0, 3, 0, 2]
    """
    # The size is told because NumPy fills short seeds up with zeros: (1,) and (1, 0) would be one seed.
    return np.random.PCG64(np.random.SeedSequence([len(seed), *seed]))


def integers(bits: np.random.PCG64, bound: int, shape: int | tuple[int, ...]) -> Integers:
    """Integers from 0 to `bound` - 1, all equally likely."""
    # The remainders of 64 random bits favour small numbers by less than one part in 10^16 for bounds below 1,000.
    raw = bits.random_raw(shape)
    raw %= np.uint64(bound)
    return raw.view(np.int64)


def uniform(bits: np.random.PCG64, shape: int | tuple[int, ...]) -> Floats:
    """Numbers from 0 to just below 1: all the multiples of 2^-24, equally likely, none of them rounded."""
    return (bits.random_raw(shape) >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)


def distinct(bits: np.random.PCG64, bound: int, count: int, many: int) -> Integers:
    """`count` rows [count, many] of different integers from 0 to `bound` - 1, every ordered choice equally likely.

    Example:
        >>> distinct(stream((0,)), 5, count=2, many=3).tolist()
        [[2, 1, 4], [1, 3, 2]]
    """
    chosen = np.empty((count, many), dtype=np.int64)
    for i in range(many):
        chosen[:, i] = integers(bits, bound - i, count)  # its rank among the integers that are left
        for earlier in np.sort(chosen[:, :i], axis=1).T:
            chosen[:, i] += chosen[:, i] >= earlier
    return chosen


def order(bits: np.random.PCG64, count: int) -> Integers:
    """The integers from 0 to `count` - 1 in random order."""
    return np.argsort(bits.random_raw(count), kind="stable")
