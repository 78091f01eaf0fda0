"""What every test shares: one thread, uninitialised memory that is NaN, and Ctrl-C as it was before."""

from __future__ import annotations

import signal

import pytest
import torch
from hypothesis import settings

settings.register_profile("ostinato", deadline=None, print_blob=True)
settings.load_profile("ostinato")


@pytest.fixture(autouse=True)
def one_thread():
    """Tests are small; two threads of a busy machine only wait for each other. A test of threads sets its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(autouse=True)
def uninitialised_memory_is_nan():
    """A kernel that reads what it never wrote turns its result into NaN."""
    before = torch.utils.deterministic.fill_uninitialized_memory, torch.are_deterministic_algorithms_enabled()
    torch.utils.deterministic.fill_uninitialized_memory = True
    torch.use_deterministic_algorithms(True)
    yield
    torch.utils.deterministic.fill_uninitialized_memory = before[0]
    torch.use_deterministic_algorithms(before[1])


@pytest.fixture(autouse=True)
def ctrl_c_stays_as_it_was():
    """The command line takes SIGINT over, and a test may call it within this process."""
    before = signal.getsignal(signal.SIGINT)
    yield
    signal.signal(signal.SIGINT, before)
