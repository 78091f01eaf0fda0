"""Populations in training side by side, a process each: one thread a process, so that none waits for another.

Two threads in one population would have to meet at every step, which on a busy machine takes longer than the step.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process
from typing import Any, Generic, NamedTuple, TypeVar

import torch

from ..errors import OstinatoError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

#: What a job is told to report to; it raises KeyboardInterrupt where the job is to end.
Tell = Callable[[Any], None]

# Seconds from one look at what the workers say to the next.
_PAUSE = 0.1


class Done(NamedTuple, Generic[Outcome]):
    """Job number `index` is done."""

    index: int
    outcome: Outcome


class _Channel(NamedTuple):
    """Between a worker and its parent: what the worker says, and whether it is to stop."""

    said: Any
    stop: Any


_channel: _Channel | None = None


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    work: Callable[[Task, Tell], Outcome], tasks: Sequence[Task], workers: int, hear: Callable[[int, Any], None]
) -> Iterator[Done[Outcome]]:
    """`work(task, tell)` for every task, so many at a time; each outcome as soon as it is there.

    One worker is this process itself. Workers end with this process, however that ends.

    Args:
        work: importable, as are its arguments: worker processes start afresh.
        hear: called here with the index of a task and what its `work` told.

    Raises:
        KeyboardInterrupt: Ctrl-C, when every worker has ended; one that tells something ends there.
        OstinatoError: a worker process has died; or what `work` raised.
    """
    if workers <= 1 or len(tasks) <= 1:
        for index, task in enumerate(tasks):
            yield Done(index, work(task, lambda said, index=index: hear(index, said)))
        return
    context = get_context("spawn")
    channel = _Channel(context.Queue(), context.Event())
    with ProcessPoolExecutor(min(workers, len(tasks)), context, _begin, (channel,)) as pool:
        running = {pool.submit(_work, work, task, index): index for index, task in enumerate(tasks)}
        try:
            while running:
                finished, _ = wait(running, _PAUSE, FIRST_COMPLETED)
                _pass_on(channel, hear)
                for future in finished:
                    yield Done(running.pop(future), _outcome(future))
        except BaseException:
            channel.stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
            raise
        finally:
            channel.said.cancel_join_thread()


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        raise OstinatoError(
            "a worker process has died, perhaps for want of memory: the same command goes on, with --workers 1 in less"
        ) from None


def _pass_on(channel: _Channel, hear: Callable[[int, Any], None]) -> None:
    while not channel.said.empty():
        hear(*channel.said.get())


def _begin(channel: _Channel) -> None:
    """In a worker, before anything else."""
    global _channel
    _channel = channel
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears Ctrl-C, and says when to stop
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _work(work: Callable[[Task, Tell], Outcome], task: Task, index: int) -> Outcome:
    channel = _channel
    assert channel is not None

    def tell(said: Any) -> None:
        channel.said.put((index, said))
        if channel.stop.is_set():
            raise KeyboardInterrupt

    return work(task, tell)
