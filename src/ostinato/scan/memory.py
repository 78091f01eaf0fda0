"""Buffers of a scan. A fresh page of memory costs a fault, and a sequence of states has thousands of them: buffers that
nobody else sees are used again, large ones lie on large pages."""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import mmap

import torch
from torch import Tensor
from torch.utils import deterministic

_LARGE = 4 << 20  # bytes from which asking for large pages pays
_PAGE = 2 << 20

# Buffers that wait to be used again, one of each size, and within which sizes it pays. What is far larger is on large
# pages; a dictionary gives a buffer to one thread only.
_waiting: dict[tuple[torch.dtype, int], Tensor] = {}
_LEAST, _MOST, _MOST_WAITING = 1 << 16, 1 << 24, 16


def empty(*shape: int, dtype: torch.dtype) -> Tensor:
    """Like torch.empty, on large pages where the system has them. Under test it is filled with NaN."""
    tensor = torch.empty(shape, dtype=dtype, device="cpu")
    size = tensor.nbytes
    if size >= _LARGE:
        advise = _madvise()
        if advise is not None:
            start = -(-tensor.data_ptr() // _PAGE) * _PAGE
            length = (tensor.data_ptr() + size - start) // _PAGE * _PAGE
            if length > 0:
                advise(start, length, mmap.MADV_HUGEPAGE)  # a hint: what it answers does not matter
    return tensor


def borrow(*shape: int, dtype: torch.dtype) -> Tensor:
    """Like `empty`, perhaps in a buffer that was used before. Whoever is done with it can `give_back` it."""
    size = math.prod(shape)
    found = _waiting.pop((dtype, size), None)
    if found is None:
        return empty(*shape, dtype=dtype)
    if torch.are_deterministic_algorithms_enabled() and deterministic.fill_uninitialized_memory:  # pyright: ignore
        found.fill_(math.nan)
    return found.view(shape)


def give_back(tensor: Tensor) -> None:
    """Let the next scan have a borrowed buffer; nobody may look at it any more."""
    if _LEAST <= tensor.nbytes <= _MOST:
        if len(_waiting) >= _MOST_WAITING:
            _waiting.clear()
        _waiting[tensor.dtype, tensor.numel()] = tensor


def scratch(*sizes: int, dtype: torch.dtype) -> tuple[Tensor, list[int]]:
    """A borrowed buffer for several uses, so many numbers each, and the address of each."""
    tensor = borrow(sum(sizes), dtype=dtype)
    starts = itertools.accumulate((size * dtype.itemsize for size in sizes[:-1]), initial=tensor.data_ptr())
    return tensor, list(starts)


@functools.cache
def _madvise():
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function
