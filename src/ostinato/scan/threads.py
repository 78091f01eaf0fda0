"""Run a kernel on several threads: on torch's own OpenMP pool where there is one, so that the two never compete.

A kernel may be called from several Python threads at once, and after a fork: a child process of one that has used
OpenMP must not enter it, so it runs on one thread.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from pathlib import Path

import torch

from .compile import Kernel

# Waking a thread costs some microseconds, in which one alone does about so many multiplications.
_WORK_OF_A_THREAD = 100_000

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(kernel: Kernel, tasks: int, work: int, fields: dict[str, int]) -> None:
    """Call `kernel` with the fields as arguments, on as many threads as torch uses and tasks and work are there for.

    Args:
        tasks: how many tasks the kernel will find.
        work: about how many multiplications they are together.
    """
    counter = ctypes.c_int64(0)
    fields["counter"] = ctypes.addressof(counter)
    block = kernel.block(*[fields[name] for name in kernel.parameters])
    threads = 1 if _forked else min(torch.get_num_threads(), tasks, work // _WORK_OF_A_THREAD)
    if threads <= 1:
        kernel.call(ctypes.addressof(block))
        return
    parallel = _gomp_parallel()
    if parallel is not None:
        parallel(kernel.address, ctypes.addressof(block), threads, 0)
    else:
        _on_python_threads(kernel, ctypes.addressof(block), threads)


def _on_python_threads(kernel: Kernel, block: int, threads: int) -> None:
    others = [threading.Thread(target=kernel.call, args=(block,)) for _ in range(threads - 1)]
    for other in others:
        other.start()
    kernel.call(block)
    for other in others:
        other.join()


@functools.cache
def _gomp_parallel():
    """GOMP_parallel(function, argument, threads, flags) of the library that torch itself runs on, or None."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")):
        function = ctypes.CDLL(str(path)).GOMP_parallel
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        function.restype = None
        return function
    return None
