"""Peak memory of forward + backward: how far the resident set grows above what it was with the layer and x ready."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from .contestants import make_task, our_layer, torch_layer
from .requirements import TINY, Shape


def can_measure() -> bool:
    """Whether the system (Linux) tells the peak of the resident set and lets it be reset."""
    return Path("/proc/self/clear_refs").exists()


def worth_measuring(shapes: Sequence[Shape]) -> list[Shape]:
    """Those whose output alone is a mebibyte: below, the growth is that of the allocator."""
    return [s for s in shapes if 4 * s.batch * s.steps * s.units >= 1 << 20]


def peak_growth(kind: str, shape: Shape, ours: bool, threads: int) -> int:
    """Bytes. For a fresh process: one layer, one call, after a tiny one that brings the libraries in."""
    torch.set_num_threads(threads)
    for size in (TINY, shape):
        task = make_task(size)
        layer = our_layer(kind, task)
        if not ours:
            layer = torch_layer(kind, layer, task)
        Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident now
        before = _resident("VmRSS")
        layer.run("forward + backward")
    return _resident("VmHWM") - before


def _resident(field: str) -> int:
    """A line of /proc/self/status, in bytes."""
    lines = Path("/proc/self/status").read_text("utf-8").splitlines()
    line = next(line for line in lines if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024
