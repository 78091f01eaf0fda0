"""The training loop: batches in order, the model looked at on dev examples now and then, the best one kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.optim import Optimizer

from ..errors import DataError
from .checkpoint import save_weights, write_record
from .interrupt import interrupts
from .metrics import Criterion, Examples, accuracy, cut, evaluate


@dataclass(frozen=True)
class Evaluation:
    """The model on the dev examples after `step` steps."""

    step: int
    loss: float
    score: float


@dataclass
class History:
    """The loss of every step, every evaluation, whether Ctrl-C ended the training, and how long it took."""

    train_loss: list[float] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    interrupted: bool = False
    seconds: float = 0.0

    @property
    def best(self) -> Evaluation | None:
        """The evaluation of the highest score, the first of equals."""
        return max(self.evaluations, key=lambda e: -math.inf if math.isnan(e.score) else e.score, default=None)


@dataclass(frozen=True)
class Progress:
    """Where a training is: after `step` of `steps`, with the loss of the latest batch, as last evaluated."""

    step: int
    steps: int
    train_loss: float
    dev_loss: float
    dev_score: float


@dataclass
class Runner:
    """Trains a model and keeps the best of it.

    Attributes:
        model: takes the inputs of a batch, gives logits.
        optimizer: made by the caller for the parameters of the model.
        loss: what is minimised, of (logits, targets).
        score: what the best model is chosen by, of (logits, targets); higher is better.
        batch_size: examples a step; the last batch of an epoch may be smaller.
        evaluate_every: steps from one look at the dev examples to the next; after the last step there is always one.
        shuffle: a new order in every epoch, drawn from `seed`; False keeps the order of the examples.
    """

    model: nn.Module
    optimizer: Optimizer
    loss: Criterion = cross_entropy
    score: Criterion = accuracy
    batch_size: int = 8
    evaluate_every: int = 100
    shuffle: bool = False
    seed: int = 0

    def fit(
        self,
        train: Examples,
        dev: Examples,
        *,
        epochs: int,
        folder: str | Path,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> History:
        """Train; leave the best weights in `folder/best.safetensors` and the history in `folder/history.json`.

        Ctrl-C, or a KeyboardInterrupt out of `progress`, ends the training between two steps: the files are written
        and the history says `interrupted`. A second Ctrl-C does not wait for the end of the step.

        Args:
            train: the inputs and, last, the targets; each tensor has the examples along its first dimension.
            dev: the same, to choose the best model by.
            epochs: passes over the training examples.
            folder: made if need be; files of an earlier training are replaced.
            progress: called after every evaluation.

        Raises:
            DataError: epochs or evaluate_every below 1.
            ShapeError: no examples, tensors of different numbers of them, or a batch size below 1.
        """
        if epochs < 1 or self.evaluate_every < 1:
            raise DataError(f"epochs ({epochs}) and evaluate_every ({self.evaluate_every}) must be at least 1")
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        steps = epochs * len(cut(train, self.batch_size))
        history, pending = History(), []  # pending: losses that are tensors still; to make floats costs a wait
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        for earlier in ("best.safetensors", "history.json"):
            (folder / earlier).unlink(missing_ok=True)
        start = time.perf_counter()
        self.model.train()
        try:
            with interrupts() as interrupted:
                for step, batch in enumerate(self._batches(train, epochs), start=1):
                    pending.append(self._step(batch, parameters))
                    if step % self.evaluate_every == 0 or step == steps:
                        _collect(pending, history)
                        evaluation = self._evaluate(step, dev, history, folder)
                        progress(Progress(step, steps, history.train_loss[-1], evaluation.loss, evaluation.score))
                    if interrupted():
                        raise KeyboardInterrupt
        except KeyboardInterrupt:
            history.interrupted = True
            _collect(pending, history)
            if history.train_loss and not history.evaluations:  # what was reached is kept, however little
                self._evaluate(len(history.train_loss), dev, history, folder)
        history.seconds = time.perf_counter() - start
        write_record(history, folder / "history.json")
        return history

    def _batches(self, train: Examples, epochs: int) -> Iterator[tuple[Tensor, ...]]:
        generator = torch.Generator().manual_seed(self.seed)
        batches = cut(train, self.batch_size)
        for _ in range(epochs):
            if self.shuffle:
                order = torch.randperm(len(train[-1]), generator=generator)
                batches = cut([tensor[order] for tensor in train], self.batch_size)
            yield from batches

    def _step(self, batch: tuple[Tensor, ...], parameters: list[nn.Parameter]) -> Tensor:
        *inputs, targets = batch
        loss = self.loss(self.model(*inputs), targets)
        for parameter in parameters:  # what optimizer.zero_grad() does, in a tenth of its time
            parameter.grad = None
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def _evaluate(self, step: int, dev: Examples, history: History, folder: Path) -> Evaluation:
        """Look at the dev examples; the best model so far is saved."""
        evaluation = Evaluation(step, *evaluate(self.model, dev, self.loss, self.score))
        history.evaluations.append(evaluation)
        if evaluation is history.best:
            save_weights(self.model, folder / "best.safetensors")
        return evaluation


def _collect(pending: list[Tensor], history: History) -> None:
    if pending:
        history.train_loss += torch.stack(pending).tolist()
        pending.clear()
