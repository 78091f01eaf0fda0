"""How a network is judged: the metric, which way it is better, when a task is solved, and how a value is written."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike


class Measure(NamedTuple):
    """What two attributes of a task say, without the task and without torch.

    Attributes:
        metric: "accuracy", higher is better, or "mse", the mean squared error, lower is better.
        threshold: a network has solved the task with an accuracy of at least this, or an mse of at most this.

    Example:
        >>> Measure("accuracy", 0.9).text(0.999), Measure("mse", 0.01).text(0.00123)
        ('>99%', '0.0012')
    """

    metric: Literal["accuracy", "mse"]
    threshold: float

    @property
    def higher_is_better(self) -> bool:
        return self.metric == "accuracy"

    @property
    def bounds(self) -> tuple[float, float]:
        """Between these is every value of the metric."""
        return (0.0, 1.0) if self.metric == "accuracy" else (0.0, np.inf)

    @property
    def name(self) -> str:
        return "accuracy" if self.metric == "accuracy" else "mean squared error"

    @property
    def goal(self) -> str:
        """The threshold in words."""
        name, side = ("an accuracy", "least") if self.metric == "accuracy" else ("a mean squared error", "most")
        return f"{name} of at {side} {self.text(self.threshold)}"

    def solved(self, values: ArrayLike) -> np.ndarray:
        """Which of the values are good enough, as bool of the same shape; a NaN is not."""
        values = np.asarray(values, dtype=float)
        return values >= self.threshold if self.higher_is_better else values <= self.threshold

    def text(self, value: float) -> str:
        """The value as it is printed; 100% and 0% only for what is exactly that."""
        return percent(value) if self.metric == "accuracy" else f"{value:.2g}"

    def difference(self, value: float) -> str:
        """A difference of two values as it is printed, with its sign."""
        return f"{100 * value:+.1f}" if self.metric == "accuracy" else f"{value:+.2g}"

    def gap(self, size: float) -> str:
        """The size of a difference as it is printed."""
        return f"{100 * size:.1f} points" if self.metric == "accuracy" else f"{size:.2g}"

    @property
    def unit(self) -> str:
        """Of a difference."""
        return " points" if self.metric == "accuracy" else ""


def percent(value: float) -> str:
    """A share as it is printed; 100% and 0% only for what is exactly that.

    Example:
        >>> percent(0.5), percent(0.999), percent(0.001), percent(1.0)
        ('50%', '>99%', '<1%', '100%')
    """
    if 0.995 <= value < 1:
        return ">99%"
    if 0 < value < 0.005:
        return "<1%"
    return f"{value:.0%}"
