"""A training step that leads elsewhere is refused, and no time is shown."""

from __future__ import annotations

import pytest
import torch
from benchmarks.comparison import TRAINED_TOLERANCE, DifferenceError
from benchmarks.training import __main__ as training
from benchmarks.training import cases
from benchmarks.training.comparison import compare
from benchmarks.training.contestants import PopulationTrainer, torch_trainer
from benchmarks.training.task import make_task

from benchmarks import timing
from ostinato.train import member_cross_entropy


class OtherRate(PopulationTrainer):
    """Learns by 2% more."""

    def __init__(self, task):
        super().__init__(task)
        self.optimizer.param_groups[0]["lr"] *= 1.02


class OtherEpsilon(PopulationTrainer):
    """Adam with its epsilon at the place of a gradient's typical size."""

    def __init__(self, task):
        super().__init__(task)
        self.optimizer.param_groups[0]["eps"] = 1e-4


class OthersBatches(PopulationTrainer):
    """The last network is given what the first reads."""

    def __init__(self, task):
        super().__init__(task._replace(digits=task.digits[:, [0, 1, 0]], labels=task.labels[:, [0, 1, 0]]))


class MeanOfNetworks(PopulationTrainer):
    """The losses of two networks are mixed."""

    def __init__(self, task):
        super().__init__(task)
        self.loss = lambda logits, labels: member_cross_entropy(logits.roll(1, 0) * 0.01 + logits * 0.99, labels)


class OneStandsStill(PopulationTrainer):
    """One weight of one network does not learn."""

    def run(self, mode):
        name = "network.recurrent.weight_hh_l0"
        weight = dict(self.module.named_parameters())[name].data
        before = weight[2, 5, 7].clone()
        super().run(mode)
        weight[2, 5, 7] = before


class NotANumber(PopulationTrainer):
    def __init__(self, task):
        super().__init__(task)
        self.loss = lambda logits, labels: member_cross_entropy(logits, labels) * float("nan")


PLANTED = {
    OtherRate: r"LSTM, step 1, population of 3 against torch\.nn: .* differs",
    OtherEpsilon: r"step 1, .* differs",
    OthersBatches: r"step 1, .*: loss differs at \[2\]",
    MeanOfNetworks: r"step 1, .*: loss differs",
    OneStandsStill: r"step 1, .*: recurrent\.weight_hh_l0 of network 2 differs",
    NotANumber: r"step 1, .*: loss differs",
}


def peers(task):
    return cases.each(torch_trainer, task)


@pytest.mark.parametrize("wrong", PLANTED)
def test_refused(wrong):
    task = make_task("LSTM", 3)
    with pytest.raises(DifferenceError, match=PLANTED[wrong]):
        compare(task, wrong(task), peers(task))


def test_every_peer_is_compared():
    task = make_task("SRN", 2)
    wrong = OtherRate(task)
    wrong.name = "another"
    with pytest.raises(DifferenceError, match=r"SRN, step 1, population of 2 against another: "):
        compare(task, PopulationTrainer(task), peers(task), [wrong])


def test_a_wrong_second_step_is_refused():
    task = make_task("SRN", 2)
    ours = PopulationTrainer(task)
    for group in ours.optimizer.param_groups:
        group["betas"] = (0.5, 0.999)  # the first step of Adam is the same
    with pytest.raises(DifferenceError, match="SRN, step 2, "):
        compare(task, ours, peers(task))


def test_what_is_missing_or_does_not_move_is_refused():
    task = make_task("SRN", 2)
    ours, theirs = PopulationTrainer(task), peers(task)
    ours.module.network.linear.bias.requires_grad_(False)
    with pytest.raises(DifferenceError, match=r"linear\.bias of network 0 differs by 1 of the way"):
        compare(task, ours, theirs)
    theirs[1].figures = lambda: {"loss": torch.zeros(1)}
    theirs[0].figures = lambda: {"loss": torch.zeros(1)}
    with pytest.raises(DifferenceError, match="there are loss; there should be "):
        compare(task, PopulationTrainer(task), theirs)


@pytest.mark.parametrize("kind", ["LSTM", "SRN"])
def test_equal_networks_pass(kind):
    task = make_task(kind, 3)
    assert 0 < compare(task, PopulationTrainer(task), peers(task)) < TRAINED_TOLERANCE


def test_no_clock_is_started_and_nothing_is_shown(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(cases, "PopulationTrainer", OtherRate)
    monkeypatch.setattr(timing, "perf_counter", lambda: pytest.fail("a clock was started"))
    file = tmp_path / "figures.json"
    assert training.main(["--quick", "--only", "srn", "--json", str(file)]) == 2
    shown = capsys.readouterr()
    assert "refused, nothing is timed: SRN, step 1, population of 2 against torch.nn" in shown.err
    assert shown.out == ""
    assert not file.exists()


def test_what_is_timed_was_compared(monkeypatch):
    compared, timed = [], []

    def remember(task, ours, *peers):
        compared.extend([ours, *(peer[0] for peer in peers)])
        return compare(task, ours, *peers)

    def in_turn(trainers, mode, effort):
        timed.extend(trainers)
        return timing.Times(tuple((1.0, 1.0, 1.0) for _ in trainers))

    monkeypatch.setattr(cases, "compare", remember)
    monkeypatch.setattr(cases, "in_turn", in_turn)
    cases.run(["SRN"], (2, 3), timing.QUICK, str)
    assert len(timed) == 4
    assert all(any(trainer is other for other in compared) for trainer in timed)


def test_only_torchs_second_bias_is_left_alone():
    trainer = torch_trainer(make_task("LSTM", 1))
    assert [name for name, p in trainer.module.named_parameters() if not p.requires_grad] == ["recurrent.bias_hh_l0"]
    trainer.run("training step")
    assert not trainer.module.recurrent.bias_hh_l0.any()
    assert all(isinstance(p, torch.nn.Parameter) for p in trainer.parameters)
    assert trainer.optimizer.param_groups[0]["lr"] == 1e-3
