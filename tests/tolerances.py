"""Every tolerance of the suite, each with its reason."""

from __future__ import annotations

import torch

#: Two orders of summation of some hundred terms of order one, through up to 63 steps: rounding, and ten times that.
SAME = {torch.float32: 1e-5, torch.float64: 1e-10}


def assert_same(actual: torch.Tensor, expected: torch.Tensor, what: str = "", allowance: float = 0.0) -> None:
    """Equal up to rounding, relative to the largest element (a gradient is a sum of many terms of either sign)."""
    assert actual.shape == expected.shape, f"{what}: {list(actual.shape)} is not {list(expected.shape)}"
    assert actual.dtype == expected.dtype, f"{what}: {actual.dtype} is not {expected.dtype}"
    scale = max(1.0, float(expected.abs().max())) if expected.numel() else 1.0
    tolerance = SAME[expected.dtype] * scale + allowance
    torch.testing.assert_close(actual, expected, rtol=0, atol=tolerance, msg=lambda text: f"{what}: {text}")
