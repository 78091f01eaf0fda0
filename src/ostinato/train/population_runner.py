"""Training a population: every member with its own loss, clip, best model and end. P members."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import Parameter
from torch.optim import Optimizer

from ..errors import DataError
from ..nn import Population
from .batches import Batches
from .clipping import clip_member_norms
from .interrupt import interrupts
from .member_metrics import MemberCriterion, evaluate_members, member_accuracy, member_cross_entropy
from .metrics import Examples
from .rates import LearningRates
from .training_state import TrainingState, load_state, narrow_optimizer, save_state

# Optimisers of torch whose step of one number depends on the others.
_MIXING = ("Adafactor", "LBFGS", "Muon")


@dataclass(frozen=True)
class PopulationProgress:
    """Where a training is: after `step` of `steps`, with the latest scores of the members still in it."""

    step: int
    steps: int
    scores: tuple[float, ...]


@dataclass
class PopulationRunner:
    """Trains a population and keeps the best of every member.

    At an evaluation a member can leave the population, which is the faster for it: one whose loss was not finite since
    the evaluation before, and with `patience` one whose score rises no more. The others do not notice.

    Attributes:
        population: gives [P, B, ...] of the inputs of a batch.
        optimizer: one of torch's whose step is number by number (SGD, Adam, AdamW, RMSprop, Adagrad), made by the
            caller for the parameters of the population.
        loss: what each member minimises.
        score: what its best model is chosen by; higher is better, the first of equals is kept.
        clip_norm: the norm that the gradient of each member is clipped to, or None.
        evaluate_every: steps from one look at the dev examples to the next; after the last step there is always one.
        patience: after how many evaluations without a better score a member stops; None: never.
        learning_rates: one a member, or None for that of the optimiser.
    """

    population: Population
    optimizer: Optimizer
    loss: MemberCriterion = member_cross_entropy
    score: MemberCriterion = member_accuracy
    clip_norm: float | None = None
    evaluate_every: int = 100
    patience: int | None = None
    learning_rates: Sequence[float] | None = None

    def fit(
        self,
        batches: Batches,
        dev: Examples,
        *,
        steps: int,
        checkpoint: str | Path | None = None,
        checkpoint_seconds: float = 5.0,
        progress: Callable[[PopulationProgress], None] = lambda _: None,
    ) -> TrainingState:
        """Train for `steps` steps. However it ends, the population then holds the best of every member so far.

        With a `checkpoint`, a training that was killed goes on from that file, with the numbers it would have had: the
        steps since it was written are made again. It stays there when the training is over. Ctrl-C, or a
        KeyboardInterrupt out of `progress`, writes it before it ends the training.

        Args:
            dev: the inputs and, last, the targets: [P, N, ...] each, or [1, N, ...] for all members.
            checkpoint_seconds: from one writing to the next.
            progress: called after every evaluation.

        Raises:
            DataError: a number below 1, or a checkpoint of another training.
            KeyboardInterrupt: Ctrl-C.
        """
        self._check(steps)
        training = _Training(self, batches, dev, steps, checkpoint)
        try:
            self._train(training, steps, checkpoint_seconds, progress)
        finally:
            training.end()
        return training.state

    def _check(self, steps: int) -> None:
        for name, value in (("steps", steps), ("evaluate_every", self.evaluate_every), ("patience", self.patience)):
            if value is not None and value < 1:
                raise DataError(f"{name} is {value}; it must be at least 1")
        if self.clip_norm is not None and not self.clip_norm > 0:
            raise DataError(f"clip_norm is {self.clip_norm}; it must be above 0")
        if type(self.optimizer).__name__ in _MIXING:
            raise DataError(
                f"{type(self.optimizer).__name__} looks at all members of a parameter at once; take one whose step is "
                "number by number: SGD, Adam, AdamW, RMSprop, Adagrad"
            )
        ours = {id(p) for p in self.population.parameters() if p.requires_grad}
        if not ours <= {id(p) for group in self.optimizer.param_groups for p in group["params"]}:
            raise DataError("the optimiser was not made for the parameters of this population")

    def _train(
        self,
        training: _Training,
        steps: int,
        checkpoint_seconds: float,
        progress: Callable[[PopulationProgress], None],
    ) -> None:
        state, saved = training.state, time.perf_counter()
        with interrupts() as interrupted:
            while state.running and (state.step < steps or state.loss_count):
                if state.loss_count and (state.step % self.evaluate_every == 0 or state.step == steps):
                    scores = training.evaluate()
                    try:
                        progress(PopulationProgress(state.step, steps, scores))
                    except KeyboardInterrupt:
                        training.save()
                        raise
                else:
                    training.step()
                if interrupted():
                    training.save()
                    raise KeyboardInterrupt
                if time.perf_counter() - saved > checkpoint_seconds:
                    training.save()
                    saved = time.perf_counter()
        training.finish()


class _Training:
    """One call of `fit`."""

    def __init__(
        self, runner: PopulationRunner, batches: Batches, dev: Examples, steps: int, checkpoint: str | Path | None
    ) -> None:
        self.runner, self.batches, self.dev, self.checkpoint = runner, copy.copy(batches), tuple(dev), checkpoint
        self.population, self.optimizer = runner.population, runner.optimizer
        self.parameters: list[Parameter] = list(self.population.parameters())
        recipe: dict[str, object] = {
            "steps": steps,
            "evaluate_every": runner.evaluate_every,
            "clip_norm": runner.clip_norm,
            "patience": runner.patience,
            "optimizer": type(self.optimizer).__name__,
            "learning_rates": [float(group["lr"]) for group in self.optimizer.param_groups],
            "member_learning_rates": None if runner.learning_rates is None else list(runner.learning_rates),
        }
        self.learning_rates = [group["lr"] for group in self.optimizer.param_groups]
        self.rates = None
        if runner.learning_rates is not None:
            self.rates = LearningRates(self.optimizer, runner.learning_rates)
        try:
            if checkpoint is not None and Path(checkpoint).exists():
                self.state = load_state(checkpoint, self.population, self.optimizer, recipe)
                self._keep_data(self.state.running)
            else:
                self.state = TrainingState.begin(self.population, recipe)
        except BaseException:
            if self.rates is not None:
                self.rates.remove()
            raise
        self.begin = time.perf_counter() - self.state.seconds
        self.population.train()

    def step(self) -> None:
        state = self.state
        *inputs, targets = self.batches.at(state.step)
        losses = self.runner.loss(self.population(*inputs), targets)
        for parameter in self.parameters:
            parameter.grad = None
        losses.sum().backward()
        if self.runner.clip_norm is not None:
            clip_member_norms(self.parameters, self.runner.clip_norm)
        self.optimizer.step()
        state.loss_sum += losses.detach()
        state.loss_count += 1
        state.step += 1

    def evaluate(self) -> tuple[float, ...]:
        """Look at the dev examples, keep what is best, let go who has ended; the scores of those who have not."""
        state = self.state
        criteria = self.runner.loss, self.runner.score
        dev_loss, scores = (found.tolist() for found in evaluate_members(self.population, self.dev, *criteria))
        train_loss = (state.loss_sum / state.loss_count).tolist()
        better, staying = [], []
        for place, number in enumerate(state.running):
            member = state.members[number]
            member.step.append(state.step)
            member.train_loss.append(train_loss[place])
            member.dev_loss.append(dev_loss[place])
            member.dev_score.append(scores[place])
            # An accuracy is a number even where logits are NaN. The first score beats NaN: it is not at most that.
            if math.isfinite(dev_loss[place] + scores[place]) and not scores[place] <= member.best_score:
                member.best_step, member.best_score = state.step, scores[place]
                better.append(place)
            if not math.isfinite(train_loss[place]):
                member.ended = "diverged"
            elif self._is_patient(len(member.step), member.step.index(member.best_step) if member.best_step else -1):
                staying.append(place)
            else:
                member.ended = "stopped"
        self._keep_best(better)
        state.loss_sum, state.loss_count = torch.zeros_like(state.loss_sum), 0
        if len(staying) < len(state.running):
            self._keep(staying)
        return tuple(scores[place] for place in staying)

    def _is_patient(self, evaluations: int, best: int) -> bool:
        """After so many evaluations, of which number `best` (from 0) was the best."""
        return self.runner.patience is None or evaluations - 1 - best < self.runner.patience

    def _keep_best(self, places: list[int]) -> None:
        numbers = [self.state.running[place] for place in places]
        if numbers:
            for name, parameter in self.population.named_parameters():
                self.state.best[name][numbers] = parameter.detach()[places]

    def _keep(self, places: list[int]) -> None:
        """Let all members but those at these places go."""
        state = self.state
        narrow_optimizer(self.optimizer, places, len(state.running))
        self.population.keep(places)
        self._keep_data(places)
        state.running = [state.running[place] for place in places]
        state.loss_sum = state.loss_sum[places]

    def _keep_data(self, places: list[int]) -> None:
        self.batches.keep(places)
        self.dev = tuple(tensor if len(tensor) == 1 else tensor[places] for tensor in self.dev)
        if self.rates is not None:
            self.rates.keep(places)

    def save(self) -> None:
        if self.checkpoint is not None:
            self.state.seconds = time.perf_counter() - self.begin
            save_state(self.checkpoint, self.state, self.population, self.optimizer)

    def finish(self) -> None:
        """All steps are made, or nobody is left to make them."""
        state = self.state
        for number in state.running:
            state.members[number].ended = "finished"
        state.running = []
        state.seconds = time.perf_counter() - self.begin
        self.save()

    def end(self) -> None:
        """Whatever ended it: all members are back, each at its best, and the optimiser knows nothing of the past."""
        self.population.assign(self.state.best)
        self.optimizer.state.clear()
        for group, rate in zip(self.optimizer.param_groups, self.learning_rates, strict=True):
            group["lr"] = rate
        if self.rates is not None:
            self.rates.remove()
