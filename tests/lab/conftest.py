"""Lab tests train networks of a few units: enough to make every file."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    """Two threads on products this small wait for each other, all the more where the machine is busy."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
