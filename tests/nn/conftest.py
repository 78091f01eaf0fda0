from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from tolerances import SAME


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
            tolerance = SAME[expected.dtype]
            torch.testing.assert_close(actual, expected, atol=tolerance, rtol=tolerance)

    return assert_close


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
