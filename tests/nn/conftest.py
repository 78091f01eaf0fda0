from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

#: Rounding of a sum of some hundred terms of order one, with an order of magnitude to spare.
TOLERANCE = {torch.float32: 1e-5, torch.float64: 1e-10}


@pytest.fixture(scope="session")
def close() -> Callable[[object, object], None]:
    """Assert that tensors (or tuples of them) agree in shape, dtype and, to rounding, in value."""

    def assert_close(actual, expected) -> None:
        if isinstance(expected, tuple):
            assert isinstance(actual, tuple)
            assert len(actual) == len(expected)
            for a, e in zip(actual, expected, strict=True):
                assert_close(a, e)
        else:
            tolerance = TOLERANCE[expected.dtype]
            torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)

    return assert_close


@pytest.fixture(autouse=True, scope="package")
def _one_thread() -> Iterator[None]:
    """These tensors are so small that a second thread is only waited for."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
