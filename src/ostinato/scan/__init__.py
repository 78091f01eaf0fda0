"""Run a cell over a sequence: one contract, several backends."""

from .contract import Scan, Weights
from .dispatch import BACKENDS, scan

__all__ = ["BACKENDS", "Scan", "Weights", "scan"]
