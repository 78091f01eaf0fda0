"""Everything that a population in training is, in one file: what was killed goes on with the same numbers."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path

import safetensors.torch
import torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError, safe_open
from torch import Tensor
from torch.optim import Optimizer

from ..errors import DataError
from ..files import write_atomically
from ..nn import Population


@dataclass
class MemberHistory:
    """One member: its training at its evaluations, four lists of one size, and its best model.

    Attributes:
        train_loss: the mean over the steps since the evaluation before.
        best_step, best_score: of the best model; 0 and NaN if there never was one.
        ended: why no more steps were made: "finished", all were; "stopped", its score rose no more; "diverged", its
            loss was not finite. None while it is in training.
    """

    step: list[int] = field(default_factory=list)
    train_loss: list[float] = field(default_factory=list)
    dev_loss: list[float] = field(default_factory=list)
    dev_score: list[float] = field(default_factory=list)
    best_step: int = 0
    best_score: float = math.nan
    ended: str | None = None


@dataclass
class TrainingState:
    """Where the training of a population is.

    Attributes:
        members: every one that there was at the start.
        running: the numbers of those still in training, in the order they have in the population.
        step: how many steps are made.
        seconds: how long they took.
        best: the parameters of every member at its best, [P, ...] by name.
        loss_sum: of each running member, over the `loss_count` steps since the latest evaluation.
        recipe: what two trainings must have in common for one to go on where the other stopped.
    """

    members: list[MemberHistory]
    running: list[int]
    best: dict[str, Tensor]
    loss_sum: Tensor
    recipe: dict[str, object] = field(default_factory=dict)
    loss_count: int = 0
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begin(cls, population: Population, recipe: dict[str, object]) -> TrainingState:
        """Before the first step."""
        best = {name: parameter.detach().clone() for name, parameter in population.named_parameters()}
        count = len(population)
        histories = [MemberHistory() for _ in range(count)]
        device = next(population.parameters()).device
        loss_sum = torch.zeros(count, dtype=torch.float64, device=device)
        return cls(histories, list(range(count)), best, loss_sum, recipe)


def save_state(path: str | Path, state: TrainingState, population: Population, optimizer: Optimizer) -> None:
    """Write state, parameters, what the optimiser remembers and torch's random numbers."""
    tensors = {f"best {name}": tensor for name, tensor in state.best.items()}
    tensors |= {f"now {name}": parameter.detach() for name, parameter in population.named_parameters()}
    for k, parameter in enumerate(_parameters(optimizer)):
        tensors |= {f"optimizer {k} {name}": value for name, value in optimizer.state[parameter].items()}
    tensors |= {"loss_sum": state.loss_sum, "random": torch.get_rng_state()}
    about = {"members": [asdict(member) for member in state.members]}
    about |= {name: getattr(state, name) for name in ("running", "recipe", "loss_count", "step", "seconds")}
    about["learning_rates"] = [group["lr"] for group in optimizer.param_groups]
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    write_atomically(path, safetensors.torch.save(contiguous, {"training": json.dumps(about)}))


def load_state(
    path: str | Path, population: Population, optimizer: Optimizer, recipe: dict[str, object]
) -> TrainingState:
    """Put a training back where `save_state` found it; `population` and `optimizer` are as they were at the start.

    Raises:
        DataError: not such a file, or that of another training, or of one with another recipe.
    """
    tensors, about = _read(path)
    names = [name for name, _ in population.named_parameters()]
    try:
        state = TrainingState(
            members=TypeAdapter(list[MemberHistory]).validate_python(about["members"]),
            running=list(about["running"]),
            best={name: tensors[f"best {name}"] for name in names},
            loss_sum=tensors["loss_sum"].to(next(population.parameters()).device),
            recipe=dict(about["recipe"]),
            loss_count=int(about["loss_count"]),
            step=int(about["step"]),
            seconds=float(about["seconds"]),
        )
        now = {name: tensors[f"now {name}"] for name in names}
        learning_rates = list(about["learning_rates"])
    except (KeyError, TypeError, ValueError, ValidationError) as error:
        raise DataError(f"{path} is not the state of this training: {error}") from None
    for name, parameter in population.named_parameters():
        if state.best[name].shape != parameter.shape:
            raise DataError(
                f"{path} is the state of another training: {name} is {list(state.best[name].shape)} there, and "
                f"{list(parameter.shape)} here"
            )
    for name, value in json.loads(json.dumps(recipe)).items():
        old = state.recipe.get(name)
        if old != value:
            raise DataError(
                f"{path} is the state of a training with {name} {old}, not {value}: go on with that, or elsewhere"
            )
    population.assign(now)
    for group, rate in zip(optimizer.param_groups, learning_rates, strict=True):
        group["lr"] = rate
    for k, parameter in enumerate(_parameters(optimizer)):
        prefix = f"optimizer {k} "
        remembered = {key.removeprefix(prefix): t for key, t in tensors.items() if key.startswith(prefix)}
        if remembered:
            optimizer.state[parameter] = remembered | {
                name: value.to(parameter.device) for name, value in remembered.items() if value.dim()
            }
    torch.set_rng_state(tensors["random"])
    return state


def narrow_optimizer(optimizer: Optimizer, indices: list[int], members: int) -> None:
    """Forget what the optimiser remembers of all members but these, of so many."""
    for remembered in optimizer.state.values():
        for name, value in remembered.items():
            if isinstance(value, Tensor) and value.dim() and len(value) == members:
                remembered[name] = value[indices]


def _parameters(optimizer: Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _read(path: str | Path) -> tuple[dict[str, Tensor], dict]:
    try:
        with safe_open(path, "pt") as file:
            # Copies: memory that torch has aligned, on which products round as they do in an undisturbed training.
            return {key: file.get_tensor(key).clone() for key in file.keys()}, json.loads(file.metadata()["training"])  # noqa: SIM118
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise DataError(
            f"{path} is not the state of a training ({error}): delete it, and that training begins again"
        ) from None
