"""Training a population: every member ends where it ends alone, whatever happens to the others."""

from __future__ import annotations

import math
import signal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from ostinato.errors import DataError
from ostinato.nn import Population, SequenceClassifier, xavier_initialise
from ostinato.train import Epochs, Fresh, PopulationRunner, Runner, member_accuracy, member_cross_entropy
from tolerances import assert_same

SEEDS = (4, 0, 7)
OPTIMIZERS = {
    "Adam": lambda parameters, lr: torch.optim.Adam(parameters, lr, fused=True),
    "AdamW": lambda parameters, lr: torch.optim.AdamW(parameters, lr, weight_decay=0.1),
    "SGD": lambda parameters, lr: torch.optim.SGD(parameters, lr * 30, momentum=0.9, nesterov=True),
}


def make():
    return xavier_initialise(SequenceClassifier(5, 3, cell="lstm", embedding_dim=6, hidden_size=6))


def examples(count=22, seed=0, members=3):
    """Is the sum of the first two small, middling or large? Own sequences for every member."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(0, 5, (members, count, 6), generator=generator)
    return tokens, (tokens[..., 0] + tokens[..., 1]) // 3


def runner(optimizer="Adam", lr=0.01, **options):
    population = Population.build(make, SEEDS)
    return PopulationRunner(population, OPTIMIZERS[optimizer](population.parameters(), lr), **options)


def fit(runner, steps=30, batches=None, **options):
    return runner.fit(batches or Epochs(examples(), 8), examples(30, 1), steps=steps, **options)


def assert_same_states(a, b):
    assert a.members == b.members
    for name, tensor in a.best.items():
        assert torch.equal(tensor, b.best[name]), name


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_member_ends_where_it_ends_alone(optimizer, shuffle, tmp_path):
    whole = runner(optimizer, evaluate_every=5)
    state = fit(whole, steps=30, batches=Epochs(examples(), 8, SEEDS if shuffle else None))
    for i, seed in enumerate(SEEDS):
        torch.manual_seed(seed)
        model = make()
        alone = Runner(model, OPTIMIZERS[optimizer](model.parameters(), 0.01), batch_size=8, evaluate_every=5,
                       shuffle=shuffle, seed=seed)  # fmt: skip
        train, dev = ([tensor[i] for tensor in split] for split in (examples(), examples(30, 1)))
        history = alone.fit(train, dev, epochs=10, folder=tmp_path)
        assert state.members[i].step == [e.step for e in history.evaluations]
        assert state.members[i].dev_loss == pytest.approx([e.loss for e in history.evaluations], abs=1e-4)
        pieces = [history.train_loss[k : k + 5] for k in range(0, 30, 5)]
        assert state.members[i].train_loss == pytest.approx([sum(p) / 5 for p in pieces], abs=1e-4)
        assert state.members[i].best_step == history.best.step
        alone_now = dict(model.named_parameters())
        if state.members[i].best_step == 30:
            for name, parameter in whole.population.member(i).named_parameters():
                assert_same(parameter.detach(), alone_now[name].detach(), name, allowance=1e-4)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_member_has_its_own_learning_rate(optimizer):
    rates = (0.01, 0.0002, 0.003)
    scale = 30 if optimizer == "SGD" else 1
    whole = runner(optimizer, evaluate_every=30, learning_rates=[rate * scale for rate in rates])
    fit(whole, steps=30)
    for i, (seed, rate) in enumerate(zip(SEEDS, rates, strict=True)):
        torch.manual_seed(seed)
        model = make()
        alone = OPTIMIZERS[optimizer](model.parameters(), rate)
        for step in range(30):
            tokens, targets = Epochs(examples(), 8).at(step)
            alone.zero_grad()
            cross_entropy(model(tokens[i]), targets[i]).backward()
            alone.step()
        for name, parameter in whole.population.member(i).named_parameters():
            assert_same(parameter.detach(), model.get_parameter(name).detach(), name, allowance=1e-4)


def test_sequences_of_different_lengths_are_padded_for_every_member():
    """A member whose sequences are padded, with lengths, ends where it ends without the padding."""
    tokens, targets = examples()
    padded = torch.cat([tokens, torch.full((3, 22, 4), 4)], dim=2)
    lengths = torch.full((3, 22), 6)
    train = (padded, lengths, targets)
    whole = runner(evaluate_every=30)
    state = whole.fit(Epochs(train, 8), (padded[:, :9], lengths[:, :9], targets[:, :9]), steps=30)
    expected = runner(evaluate_every=30)
    plain = expected.fit(Epochs((tokens, targets), 8), (tokens[:, :9], targets[:, :9]), steps=30)
    for name, tensor in state.best.items():
        assert_same(tensor, plain.best[name], name, allowance=1e-5)


def test_the_best_of_every_member_is_kept():
    whole = runner(evaluate_every=3, lr=0.1)
    state = fit(whole, steps=45)
    assert len({member.best_step for member in state.members}) > 1
    tokens, targets = examples(30, 1)
    scores = member_accuracy(whole.population.eval()(tokens), targets)
    for i, member in enumerate(state.members):
        assert member.ended == "finished"
        assert member.best_score == max(member.dev_score) == pytest.approx(scores[i].item())
        assert member.best_step == member.step[member.dev_score.index(member.best_score)]


def test_a_member_that_diverges_leaves_and_the_others_do_not_notice():
    undisturbed = fit(runner(evaluate_every=5))
    broken = runner(evaluate_every=5)

    def poisoned(logits, targets):
        losses = member_cross_entropy(logits, targets)
        if poisoned.steps == 12:
            losses = losses * torch.tensor([1.0, math.nan, 1.0])
        poisoned.steps += torch.is_grad_enabled()
        return losses

    poisoned.steps = 0
    broken.loss = poisoned
    state = fit(broken)
    assert [member.ended for member in state.members] == ["finished", "diverged", "finished"]
    assert state.members[1].step == [5, 10, 15]
    assert math.isnan(state.members[1].train_loss[-1])
    assert state.members[1].best_step in (5, 10)
    assert len(broken.population) == 3
    for i in (0, 2):
        for a, b in zip(state.members[i].dev_loss, undisturbed.members[i].dev_loss, strict=True):
            assert a == pytest.approx(b, abs=1e-5)
        for name, tensor in state.best.items():
            assert_same(tensor[i], undisturbed.best[name][i], name)
    for name, tensor in state.best.items():
        assert tensor[1].isfinite().all(), name


def test_a_member_that_never_was_any_good_says_so():
    broken = runner(evaluate_every=5)
    with torch.no_grad():
        broken.population.network.linear.weight[2].fill_(math.nan)
    state = fit(broken)
    assert state.members[2].ended == "diverged"
    assert state.members[2].best_step == 0
    assert math.isnan(state.members[2].best_score)
    assert state.members[0].ended == "finished"


def test_without_patience_all_steps_are_made_and_with_it_each_stops_by_itself():
    state = fit(runner(evaluate_every=3, patience=2, lr=0.05), steps=90)
    ends = set()
    for member in state.members:
        if member.ended == "stopped":
            best = member.step.index(member.best_step)
            assert len(member.step) - 1 - best == 2
            assert member.step[-1] < 90
        ends.add(member.step[-1])
    assert len(ends) > 1
    assert {member.step[-1] for member in fit(runner(evaluate_every=3, lr=0.05), steps=90).members} == {90}


def test_those_who_stay_keep_their_data_and_their_learning_rates():
    rates = (0.0, 0.05, 0.01)
    undisturbed = fit(runner(evaluate_every=3, learning_rates=rates))
    state = fit(runner(evaluate_every=3, learning_rates=rates, patience=5))
    assert state.members[0].ended == "stopped"
    assert state.members[0].step[-1] == 18
    for i in (1, 2):
        count = len(state.members[i].step)
        assert count > 6
        assert state.members[i].dev_loss == pytest.approx(undisturbed.members[i].dev_loss[:count], abs=1e-5)


def test_when_all_have_left_the_training_ends():
    whole = runner(evaluate_every=1, lr=0.0, patience=1)
    state = fit(whole, steps=50)
    assert [member.ended for member in state.members] == ["stopped"] * 3
    assert state.step == 2
    assert len(whole.population) == 3


def batches_of(kind):
    if kind == "fresh":
        return Fresh(lambda seed, block: [t[0] for t in examples(8 * 20, 1000 * seed + block, 1)], SEEDS, 8)
    return Epochs(examples(), 8, SEEDS if kind == "shuffled" else None)


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stops=st.lists(st.integers(1, 39), min_size=1, max_size=3),
    kind=st.sampled_from(["in order", "shuffled", "fresh"]),
    optimizer=st.sampled_from(sorted(OPTIMIZERS)),
    patience=st.sampled_from([None, 2]),
    rates=st.sampled_from([None, (0.01, 0.05, 0.0)]),
)
def test_what_is_interrupted_goes_on_to_the_bit(stops, kind, optimizer, patience, rates, tmp_path):
    """An interrupt at any step, and again, and again: nothing of the result shows it."""
    options = {"evaluate_every": 4, "patience": patience, "learning_rates": rates, "clip_norm": 0.5}
    expected = fit(runner(optimizer, **options), 40, batches_of(kind))
    checkpoint = tmp_path / "training.safetensors"
    checkpoint.unlink(missing_ok=True)
    for stop in sorted(stops):
        again = runner(optimizer, **options)
        loss, done = again.loss, []

        def stopping(logits, targets, loss=loss, done=done, stop=stop):
            done.append(1)
            if len(done) == stop:
                raise KeyboardInterrupt
            return loss(logits, targets)

        again.loss = stopping
        try:
            state = fit(again, 40, batches_of(kind), checkpoint=checkpoint, checkpoint_seconds=0)
        except KeyboardInterrupt:
            continue
        assert_same_states(state, expected)
    last = runner(optimizer, **options)
    state = fit(last, 40, batches_of(kind), checkpoint=checkpoint)
    assert_same_states(state, expected)
    for name, parameter in last.population.named_parameters():
        assert torch.equal(parameter.detach(), expected.best[name])


def test_a_checkpoint_of_the_past_is_gone_on_from(tmp_path):
    """What a killed process leaves is older than what it had reached."""
    checkpoint, copies = tmp_path / "training.safetensors", []

    def keep_copies(_):
        copies.append(checkpoint.read_bytes() if checkpoint.exists() else None)

    expected = fit(runner(evaluate_every=4), checkpoint=checkpoint, checkpoint_seconds=0, progress=keep_copies)
    assert len({copy for copy in copies if copy}) > 4
    for copy in [c for c in copies if c][::3]:
        checkpoint.write_bytes(copy)
        assert_same_states(fit(runner(evaluate_every=4), checkpoint=checkpoint), expected)


def test_a_finished_training_is_read_not_repeated(tmp_path):
    expected = fit(runner(), checkpoint=tmp_path / "c")
    again = runner()
    again.loss = None
    assert_same_states(fit(again, checkpoint=tmp_path / "c"), expected)


def test_ctrl_c_keeps_what_was_reached(tmp_path):
    again = runner(evaluate_every=4)

    def press(progress):
        if progress.step == 8:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        fit(again, checkpoint=tmp_path / "c", progress=press)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    steps = []
    fit(runner(evaluate_every=4), checkpoint=tmp_path / "c", progress=lambda p: steps.append(p.step))
    assert steps[0] == 12


def test_the_same_runner_goes_on_after_ctrl_c(tmp_path):
    """As in a notebook: the cell is interrupted, and run again."""
    options = {"evaluate_every": 4, "learning_rates": (0.01, 0.05, 0.0), "patience": 2}
    expected = fit(runner(**options), 40)
    again = runner(**options)
    assert expected.members[2].ended == "stopped"

    def press(progress):
        if progress.step == 20:
            raise KeyboardInterrupt

    batches = Epochs(examples(), 8)
    with pytest.raises(KeyboardInterrupt):
        fit(again, 40, batches, checkpoint=tmp_path / "c", progress=press)
    assert len(again.population) == 3
    assert_same_states(fit(again, 40, batches, checkpoint=tmp_path / "c"), expected)


def test_a_second_training_begins_from_the_best_and_takes_the_rates_once():
    twice = runner(evaluate_every=10, learning_rates=(0.01, 0.02, 0.03))
    first = fit(twice, 10)
    second = fit(twice, 10)
    other = PopulationRunner(Population([twice.population.member(i) for i in range(3)]), None)
    other.population.assign(first.best)
    other.optimizer = torch.optim.Adam(other.population.parameters(), 0.01, fused=True)
    other.evaluate_every, other.learning_rates = 10, (0.01, 0.02, 0.03)
    assert_same_states(fit(other, 10), second)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 60}, "a training with steps 30, not 60"),
        ({"clip_norm": 1.0}, "with clip_norm None, not 1.0"),
        ({"lr": 0.02}, r"with learning_rates \[0.01\], not \[0.02\]"),
        ({"learning_rates": (0.1, 0.2, 0.3)}, "with member_learning_rates None, not"),
        ({"optimizer": "AdamW"}, "with optimizer Adam, not AdamW"),
    ],
    ids=str,
)
def test_a_checkpoint_is_of_one_recipe(changes, message, tmp_path):
    fit(runner(), checkpoint=tmp_path / "c")
    steps = changes.pop("steps", 30)
    with pytest.raises(DataError, match=message):
        fit(runner(**changes), steps, checkpoint=tmp_path / "c")


def test_a_rate_that_was_changed_on_the_way_is_kept(tmp_path):
    def train(stop=None):
        again = runner(evaluate_every=4)

        def halve(progress):
            for group in again.optimizer.param_groups:
                group["lr"] /= 2
            if progress.step == stop:
                raise KeyboardInterrupt

        return fit(again, checkpoint=None if stop is None else tmp_path / "c", progress=halve)

    expected = train()
    with pytest.raises(KeyboardInterrupt):
        train(stop=12)
    assert_same_states(train(stop=-1), expected)


def test_optimisers_that_cannot_train_a_population():
    mixing = runner()
    mixing.optimizer = torch.optim.Adafactor(mixing.population.parameters())
    with pytest.raises(DataError, match="Adafactor looks at all members of a parameter at once"):
        fit(mixing)
    other = runner()
    other.optimizer = torch.optim.Adam(make().parameters())
    with pytest.raises(DataError, match="the optimiser was not made for the parameters of this population"):
        fit(other)


def test_progress_tells_the_scores_of_those_still_there():
    seen = []
    state = fit(runner(evaluate_every=10), progress=seen.append)
    assert [(p.step, p.steps) for p in seen] == [(10, 30), (20, 30), (30, 30)]
    assert seen[1].scores == tuple(member.dev_score[1] for member in state.members)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"evaluate_every": 0}, "evaluate_every is 0"),
        ({"patience": 0}, "patience is 0; it must be at least 1"),
        ({"clip_norm": -1.0}, "clip_norm is -1.0; it must be above 0"),
    ],
)
def test_numbers_below_one(options, message):
    with pytest.raises(DataError, match=message):
        fit(runner(**options))


def test_a_checkpoint_of_another_training(tmp_path):
    path = tmp_path / "c"
    population = Population.build(make, (1, 2))
    other = PopulationRunner(population, torch.optim.Adam(population.parameters()))
    other.fit(Epochs(examples(members=2), 8), examples(members=2), steps=1, checkpoint=path)
    with pytest.raises(DataError, match=r"c is the state of another training: .* is \[2, .* there, and \[3, .* here"):
        fit(runner(), checkpoint=path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="c is not the state of a training"):
        fit(runner(), checkpoint=path)
