"""Large buffers on large pages: a fresh page costs a fault, and a sequence of states has tens of thousands of them."""

from __future__ import annotations

import ctypes
import functools
import itertools
import mmap

import torch
from torch import Tensor

_LARGE = 4 << 20  # bytes from which asking for large pages pays
_PAGE = 2 << 20


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


def scratch(*sizes: int, dtype: torch.dtype) -> tuple[Tensor, list[int]]:
    """One buffer for several uses, so many numbers each, and the address of each. It lives as long as the tensor."""
    tensor = empty(sum(sizes), dtype=dtype)
    starts = itertools.accumulate((size * dtype.itemsize for size in sizes[:-1]), initial=tensor.data_ptr())
    return tensor, list(starts)


@functools.cache
def _madvise():
    if not hasattr(mmap, "MADV_HUGEPAGE"):
        return None
    function = ctypes.CDLL(None).madvise
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function
