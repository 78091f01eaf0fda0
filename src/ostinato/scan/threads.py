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
from .kernels import COUNTERS

# Waking a thread costs some microseconds, in which one alone does about so many multiplications.
_WORK_OF_A_THREAD = 100_000

_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def run(kernel: Kernel, arguments: ctypes.Array, tasks: int, work: int) -> None:
    """Call `kernel` on as many threads as torch uses and tasks and work are there for.

    Args:
        arguments: the kernel's block of arguments; its counters are set here.
        tasks: how many tasks the kernel will find at the most at once.
        work: about how many multiplications they are together.
    """
    counters = (ctypes.c_int64 * COUNTERS)()
    arguments[kernel.position["counters"]] = ctypes.addressof(counters)
    block = ctypes.addressof(arguments)
    threads = 1 if _forked else min(torch.get_num_threads(), tasks, work // _WORK_OF_A_THREAD)
    if threads <= 1:
        kernel.call(block)
        return
    parallel = _gomp_parallel()
    if parallel is not None:
        parallel(kernel.address, block, threads, 0)
    else:
        _on_python_threads(kernel, block, threads)


def _on_python_threads(kernel: Kernel, block: int, threads: int) -> None:
    started: list[threading.Thread] = []
    try:
        for _ in range(threads - 1):
            other = threading.Thread(target=kernel.call, args=(block,))
            other.start()
            started.append(other)
        kernel.call(block)
    finally:
        _join(started)


def _join(started: list[threading.Thread]) -> None:
    """Wait for every thread, whatever interrupts the waiting: they write into buffers that are freed after it."""
    interruption = None
    for thread in started:
        while thread.is_alive():
            try:
                thread.join()
            except BaseException as error:
                interruption = error
    if interruption is not None:
        raise interruption


@functools.cache
def _gomp_parallel():
    """GOMP_parallel(function, argument, threads, flags) of the library that torch itself runs on, or None."""
    for path in sorted((Path(torch.__file__).parent / "lib").glob("libgomp*.so*")):
        function = ctypes.CDLL(str(path)).GOMP_parallel
        function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
        function.restype = None
        return function
    return None
