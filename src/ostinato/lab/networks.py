"""The networks of an experiment on memory: made for a task, trained as a population, kept in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from .. import train
from ..cell import Cell
from ..errors import DataError
from ..files import write_atomically
from ..nn import Population, SequenceClassifier, SequenceTagger, xavier_initialise
from ..tasks import Data, DigitSum, Task
from .measure import Measure
from .recipe import Settings
from .results import Curve, Result


@dataclass(frozen=True)
class Group:
    """The networks of a cell and a length that are trained as one population."""

    cell: Cell
    length: int
    seeds: range

    @property
    def name(self) -> str:
        """Of its files."""
        return f"{self.cell}-{self.length}-seeds-{self.seeds[0]}-to-{self.seeds[-1]}"


def make_network(task: Task, cell: Cell, hidden_size: int) -> SequenceClassifier:
    """A network for a task: Xavier-uniform weights, zero biases, which recurrent and input product share."""
    kind = SequenceTagger if task.every_step else SequenceClassifier
    features = task.input_size if task.num_embeddings is None else hidden_size
    network = kind(
        task.num_embeddings, task.outputs, cell=cell, embedding_dim=features, hidden_size=hidden_size, bias="single"
    )
    return xavier_initialise(network)


def train_group(
    settings: Settings,
    group: Group,
    folder: Path,
    progress: Callable[[train.PopulationProgress], None] = lambda _: None,
) -> list[Result]:
    """Train a population, going on from `folder/training` if it was begun; its best models go to `folder/models`."""
    task = settings.found_task
    population = Population.build(lambda: make_network(task, group.cell, settings.hidden_size), group.seeds)
    data = [load_data(settings, group.length, seed) for seed in group.seeds]
    exact = task.metric == "accuracy"
    runner = train.PopulationRunner(
        population,
        torch.optim.Adam(population.parameters(), settings.learning_rate, fused=True),
        loss=train.member_cross_entropy if exact else train.member_squared_error,
        score=train.member_accuracy if exact else train.negated(train.member_squared_error),
        clip_norm=settings.clip_norm,
        evaluate_every=settings.evaluate_every,
    )
    state = runner.fit(
        _batches(settings, group, data),
        _together([d.dev for d in data]),
        steps=settings.steps,
        checkpoint=training_file(folder, group),
        progress=progress,
    )
    (scores,) = train.evaluate_members(population, _together([d.test for d in data]), runner.score)
    _save(population, models_file(folder, group))
    seconds = state.seconds / len(group.seeds)
    return [
        _result(group, seed, member, abs(score), seconds, Measure(task.metric, task.threshold))
        for seed, member, score in zip(group.seeds, state.members, scores.tolist(), strict=True)
    ]


def load_data(settings: Settings, length: int, seed: int) -> Data:
    """The data of one network: drawn from its seed, or read from `settings.data/<length>`, the same for all."""
    if settings.data is None:
        return settings.found_task.data(length, seed)
    folder = Path(settings.data) / str(length)
    data = DigitSum.read(folder)
    if data.length != length:
        raise DataError(f"{folder} holds sequences of length {data.length}, not {length}")
    return Data(data.train, data.dev, data.test)


def load_network(settings: Settings, group: Group, seed: int, folder: Path) -> SequenceClassifier:
    """The best model of one network as an ordinary module.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = models_file(folder, group)
    try:
        tensors = safetensors.torch.load(path.read_bytes())
    except (OSError, safetensors.SafetensorError) as error:
        raise DataError(f"{path} cannot be read: {error}") from None
    with torch.random.fork_rng(devices=[]):  # to make it draws numbers that are thrown away
        network = make_network(settings.found_task, group.cell, settings.hidden_size)
    network.load_state_dict({name: tensor[group.seeds.index(seed)] for name, tensor in tensors.items()})
    return network


def training_file(folder: Path, group: Group) -> Path:
    """Where a population that is in training is kept."""
    return folder / "training" / f"{group.name}.safetensors"


def models_file(folder: Path, group: Group) -> Path:
    """Where the best models of a population are kept, the seeds along the first axis of every tensor."""
    return folder / "models" / f"{group.name}.safetensors"


def _save(population: Population, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tensors = {name: tensor.contiguous() for name, tensor in population.network.state_dict().items()}
    write_atomically(path, safetensors.torch.save(tensors))


def _batches(settings: Settings, group: Group, data: Sequence[Data]) -> train.Batches:
    if data[0].train is not None:
        return train.Epochs(_together([d.train for d in data if d.train is not None]), settings.batch_size)
    task, size, per_block = settings.found_task, settings.batch_size, 20

    def draw(seed: int, block: int) -> tuple[Tensor, ...]:
        return task.sample(group.length, size * per_block, (seed, group.length, 0, block))

    return train.Fresh(draw, group.seeds, size, per_block)


def _together(examples: Sequence[tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """The examples of all networks along a first axis; one for all of them where they are the same."""
    first = examples[0]
    if all(torch.equal(a, b) for other in examples[1:] for a, b in zip(first, other, strict=True)):
        return tuple(tensor.unsqueeze(0) for tensor in first)
    return tuple(torch.stack(tensors) for tensors in zip(*examples, strict=True))


def _result(
    group: Group, seed: int, member: train.MemberHistory, test: float, seconds: float, measure: Measure
) -> Result:
    dev = [abs(score) for score in member.dev_score]  # of an error the score is its negative
    solved = (step for step, value in zip(member.step, dev, strict=True) if measure.solved(value))
    return Result(
        cell=group.cell.name,
        length=group.length,
        seed=seed,
        dev=abs(member.best_score),
        test=test if member.best_step else float("nan"),
        best_step=member.best_step,
        solved_step=next(solved, None),
        steps=member.step[-1] if member.step else 0,
        status="diverged" if member.ended == "diverged" else "finished",
        seconds=seconds,
        curve=Curve(member.step, member.train_loss, member.dev_loss, dev),
    )
