"""Problems to train on, each generated from a seed: one file a task, a worked example in its docstring."""

from .digit_sum import DigitSum, Examples

__all__ = ["DigitSum", "Examples"]
