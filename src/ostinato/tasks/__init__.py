"""Problems to train on, each generated from a seed: one file a task, a worked example in its docstring."""

from ..errors import DataError
from .adding import Adding
from .copy_memory import CopyMemory
from .digit_sum import DigitSum, DigitSumTask
from .digit_sum_fresh import DigitSumFresh
from .digits import Digits
from .dyck2 import Dyck2
from .mqar import MQAR
from .parity import Parity
from .recall import Recall
from .selective_copy import SelectiveCopy
from .task import IGNORED, Data, Examples, Recipe, Task

_ALL = DigitSumTask, DigitSumFresh, CopyMemory, Adding, Recall, Parity, Dyck2, MQAR, SelectiveCopy, Digits

#: Every task of the library by its name.
TASKS: dict[str, Task] = {task.name: task() for task in _ALL}


def find(name: str) -> Task:
    """The task of the library with this name. Raises DataError for another one, with the names there are."""
    if name not in TASKS:
        raise DataError(f"no task is called {name!r}; there are: {', '.join(TASKS)}")
    return TASKS[name]


__all__ = [
    "IGNORED",
    "MQAR",
    "TASKS",
    "Adding",
    "CopyMemory",
    "Data",
    "DigitSum",
    "DigitSumFresh",
    "DigitSumTask",
    "Digits",
    "Dyck2",
    "Examples",
    "Parity",
    "Recall",
    "Recipe",
    "SelectiveCopy",
    "Task",
    "find",
]
