"""Train a model, look at it on dev examples now and then, keep the best."""

from .checkpoint import load_weights, read_record, save_weights, write_record
from .metrics import accuracy, evaluate
from .runner import Evaluation, History, Progress, Runner

__all__ = [
    "Evaluation",
    "History",
    "Progress",
    "Runner",
    "accuracy",
    "evaluate",
    "load_weights",
    "read_record",
    "save_weights",
    "write_record",
]
