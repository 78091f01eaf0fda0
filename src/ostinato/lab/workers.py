"""Populations in training side by side, a process each: one thread a process, so that none waits for another.

Two threads in one population would have to meet at every step, which on a busy machine takes longer than the step.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import connection, get_context, parent_process
from typing import Any, Generic, NamedTuple, TypeVar

import torch

from ..errors import OstinatoError

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

#: What a job is told to report to.
Tell = Callable[[Any], None]

# Seconds from one look at what the workers say to the next.
_PAUSE = 0.1


class Done(NamedTuple, Generic[Outcome]):
    """Job number `index` is done."""

    index: int
    outcome: Outcome


class _Channel(NamedTuple):
    """Between a worker and its parent: what the worker says, and a pipe that is closed when it is to end."""

    said: Any
    stop: connection.Connection


_channel: _Channel | None = None


def cores() -> int:
    """How many this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def run(
    work: Callable[[Task, Tell], Outcome], tasks: Sequence[Task], workers: int, hear: Callable[[int, Any], None]
) -> Generator[Done[Outcome], None, None]:
    """`work(task, tell)` for every task, so many at a time; each outcome as soon as it is there.

    One worker is this process itself. Others end with this process, however that ends, and with this generator: when
    anything is raised, or it is closed. They end at once, wherever they are: `work` is what may be killed at any time.

    Args:
        work: importable, as are its arguments: worker processes start afresh.
        hear: called here with the index of a task and what its `work` told.

    Raises:
        KeyboardInterrupt: Ctrl-C, when every worker has ended.
        OstinatoError: a worker process has died; or what `work` raised.
    """
    if workers <= 1 or len(tasks) <= 1:
        for index, task in enumerate(tasks):
            yield Done(index, work(task, lambda said, index=index: hear(index, said)))
        return
    context = get_context("spawn")
    stop, stopper = context.Pipe(duplex=False)
    channel = _Channel(context.Queue(), stop)
    with stop, stopper, ProcessPoolExecutor(min(workers, len(tasks)), context, _begin, (channel,)) as pool:
        try:
            with _deaf_to_interrupts():  # as what is started here then is
                running = {pool.submit(_work, work, task, index): index for index, task in enumerate(tasks)}
            while running:
                finished, _ = wait(running, _PAUSE, FIRST_COMPLETED)
                _pass_on(channel, hear)
                for future in finished:
                    yield Done(running.pop(future), _outcome(future))
        except BaseException:
            stopper.close()
            pool.shutdown(wait=True, cancel_futures=True)
            raise


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Ctrl-C, which a terminal sends to workers too, is for the parent alone, even while they start. Later it is heard.

    Windows has no such thing: there a worker is deaf as soon as it has started.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _outcome(future: Future[Outcome]) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        raise OstinatoError(
            "a worker process has died, perhaps for want of memory: the same command goes on; --workers 1 needs less"
        ) from None


def _pass_on(channel: _Channel, hear: Callable[[int, Any], None]) -> None:
    while not channel.said.empty():
        hear(*channel.said.get())


def _begin(channel: _Channel) -> None:
    """In a worker, before anything else."""
    global _channel
    _channel = channel
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, args=(channel.stop,), daemon=True).start()


def _end_with_parent(stop: connection.Connection) -> None:
    """Or when the parent says so."""
    parent = parent_process()
    assert parent is not None
    connection.wait([parent.sentinel, stop])
    os._exit(1)


def _work(work: Callable[[Task, Tell], Outcome], task: Task, index: int) -> Outcome:
    channel = _channel
    assert channel is not None

    def tell(said: Any) -> None:
        channel.said.put((index, said))

    return work(task, tell)
