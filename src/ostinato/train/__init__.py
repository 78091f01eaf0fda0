"""Train a model or a population of models, look at it on dev examples now and then, keep the best."""

from .batches import Batches, Epochs, Fresh
from .checkpoint import load_weights, read_record, save_weights, write_record
from .clipping import clip_member_norms
from .member_metrics import evaluate_members, member_accuracy, member_cross_entropy, member_squared_error, negated
from .metrics import accuracy, evaluate
from .population_runner import PopulationProgress, PopulationRunner
from .rates import LearningRates
from .runner import Evaluation, History, Progress, Runner
from .training_state import MemberHistory, TrainingState

__all__ = [
    "Batches",
    "Epochs",
    "Evaluation",
    "Fresh",
    "History",
    "LearningRates",
    "MemberHistory",
    "PopulationProgress",
    "PopulationRunner",
    "Progress",
    "Runner",
    "TrainingState",
    "accuracy",
    "clip_member_norms",
    "evaluate",
    "evaluate_members",
    "load_weights",
    "member_accuracy",
    "member_cross_entropy",
    "member_squared_error",
    "negated",
    "read_record",
    "save_weights",
    "write_record",
]
