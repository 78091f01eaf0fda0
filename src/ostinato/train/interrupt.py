"""Ctrl-C as a question that a training asks between two steps."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Turn the first Ctrl-C into a flag to ask for; the second is a KeyboardInterrupt as ever.

    Only the main thread hears signals, and a handler that somebody else has set stays.
    """
    pressed = threading.Event()

    def press(*_: object) -> None:
        pressed.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    ours = threading.current_thread() is threading.main_thread()
    if ours and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, press)
        try:
            yield pressed.is_set
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
    else:
        yield pressed.is_set
