"""Ostinato: write a recurrence once, train it by the hundred, see what it remembers."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from .cell import Cell, cell
from .expr import exp, log, maximum, minimum, relu, sigmoid, softplus, sqrt, tanh

if TYPE_CHECKING:
    from . import cells, derive, nn, scan, tasks, train

__all__ = [
    "Cell",
    "cell",
    "cells",
    "derive",
    "exp",
    "log",
    "maximum",
    "minimum",
    "nn",
    "relu",
    "scan",
    "sigmoid",
    "softplus",
    "sqrt",
    "tanh",
    "tasks",
    "train",
]


def __getattr__(name: str) -> ModuleType:
    """Import a public module when it is first asked for: the command line starts without torch."""
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'ostinato' has no attribute {name!r}")
