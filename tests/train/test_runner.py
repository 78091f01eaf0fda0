"""The runner: it learns, keeps what was really the best, repeats itself, and stops in good order."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
import torch
from torch.nn.functional import cross_entropy

from ostinato.errors import DataError, ShapeError
from ostinato.train import Evaluation, History, accuracy, evaluate, load_weights, read_record


def test_learns(make_runner, examples, tmp_path):
    history = make_runner(evaluate_every=50).fit(examples, examples, epochs=40, folder=tmp_path)
    assert history.best.score > 0.95
    assert history.evaluations[-1].loss < 0.3 < history.train_loss[0]
    assert not history.interrupted


def test_lengths_of_the_history(make_runner, examples, tmp_path):
    history = make_runner(batch_size=16, evaluate_every=3).fit(examples, examples, epochs=2, folder=tmp_path)
    assert len(history.train_loss) == 8  # 60 examples in batches of 16: four steps an epoch
    assert [e.step for e in history.evaluations] == [3, 6, 8]
    assert read_record(History, tmp_path / "history.json") == history


def test_takes_the_steps_of_a_plain_loop(make_runner, examples, tmp_path):
    runner, plain = make_runner(batch_size=16, evaluate_every=3), make_runner()
    history = runner.fit(examples, examples, epochs=3, folder=tmp_path)
    losses = []
    for _ in range(3):
        for i in range(0, 60, 16):
            loss = cross_entropy(plain.model(examples[0][i : i + 16]), examples[1][i : i + 16])
            plain.optimizer.zero_grad()
            loss.backward()
            plain.optimizer.step()
            losses.append(loss.item())
    assert history.train_loss == losses
    for ours, theirs in zip(runner.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)


def test_best_is_the_best(make_runner, examples, tmp_path):
    """The model is ruined after 40 steps and learns no more: what is kept scores what the best evaluation said."""
    runner = make_runner(evaluate_every=10)

    def ruin(progress):
        if progress.step == 40:
            runner.optimizer.param_groups[0]["lr"] = 0.0
            torch.nn.init.zeros_(runner.model[2].weight)

    history = runner.fit(examples, examples, epochs=10, folder=tmp_path, progress=ruin)
    assert history.best.score == max(e.score for e in history.evaluations)
    assert history.best.score > history.evaluations[-1].score
    load_weights(runner.model, tmp_path / "best.safetensors")
    assert evaluate(runner.model, examples, cross_entropy, accuracy) == [history.best.loss, history.best.score]


def test_best_is_the_first_of_equals():
    history = History(evaluations=[Evaluation(1, 1.0, 0.5), Evaluation(2, 0.5, 0.7), Evaluation(3, 0.1, 0.7)])
    assert history.best.step == 2
    assert History().best is None


def test_the_same_seed_repeats(make_runner, examples, tmp_path):
    runs = {}
    for name, options in {"a": {}, "b": {}, "seed": {"seed": 1}, "in order": {"shuffle": False}}.items():
        runner = make_runner(**{"shuffle": True, **options})
        runs[name] = runner.fit(examples, examples, epochs=3, folder=tmp_path).train_loss
    assert runs["a"] == runs["b"]
    assert runs["a"] != runs["seed"]
    assert runs["a"] != runs["in order"]


def test_shuffling_shows_every_pair_once_an_epoch(make_runner, tmp_path):
    numbers, seen = torch.arange(30), []
    examples = (numbers.unsqueeze(1).expand(30, 4).float(), numbers % 4)

    def loss(logits, targets):
        if logits.requires_grad:
            seen[-1] = torch.stack((seen[-1], targets))
        return cross_entropy(logits, targets)

    runner = make_runner(shuffle=True, evaluate_every=1000, loss=loss)
    runner.model.register_forward_pre_hook(lambda _, args: seen.append(args[0][:, 0].long()))
    runner.fit(examples, examples, epochs=2, folder=tmp_path)
    inputs, targets = torch.cat(seen[:-1], dim=1).reshape(2, 2, 30)  # the last is the look at dev
    assert torch.equal(inputs.sort(dim=1).values, numbers.expand(2, 30))
    assert torch.equal(targets, inputs % 4)
    assert not torch.equal(inputs[0], inputs[1])


def test_progress_tells_the_latest_evaluation(make_runner, examples, tmp_path):
    told = []
    history = make_runner(evaluate_every=4).fit(examples, examples, epochs=1, folder=tmp_path, progress=told.append)
    assert [(p.step, p.steps) for p in told] == [(4, 8), (8, 8)]
    assert [(p.dev_loss, p.dev_score) for p in told] == [(e.loss, e.score) for e in history.evaluations]
    assert [p.train_loss for p in told] == [history.train_loss[3], history.train_loss[7]]


def test_an_interrupt_out_of_progress_is_saved(make_runner, examples, tmp_path):
    def stop(progress):
        if progress.step == 20:
            raise KeyboardInterrupt

    history = make_runner(evaluate_every=10).fit(examples, examples, epochs=10, folder=tmp_path, progress=stop)
    assert history.interrupted
    assert len(history.train_loss) == 20
    assert [e.step for e in history.evaluations] == [10, 20]
    assert read_record(History, tmp_path / "history.json") == history
    assert (tmp_path / "best.safetensors").exists()


def test_ctrl_c_waits_for_the_end_of_the_step(make_runner, examples, tmp_path):
    """The signal comes in the middle of step 13; the step is finished, counted, and nothing after it is done."""
    runner, steps = make_runner(evaluate_every=10), []

    def press(*_):
        steps.append(1)
        if len(steps) == 13:
            signal.raise_signal(signal.SIGINT)

    runner.optimizer.register_step_pre_hook(press)
    history = runner.fit(examples, examples, epochs=10, folder=tmp_path)
    assert history.interrupted
    assert len(history.train_loss) == len(steps) == 13
    assert [e.step for e in history.evaluations] == [10]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_second_ctrl_c_does_not_wait(make_runner, examples, tmp_path):
    runner = make_runner()

    def press_twice(*_):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    runner.optimizer.register_step_post_hook(press_twice)
    history = runner.fit(examples, examples, epochs=10, folder=tmp_path)
    assert history.interrupted
    assert history.train_loss == []  # the step did not come to its end
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_handler_of_the_callers_stays(make_runner, examples, tmp_path):
    caught = []
    before = signal.signal(signal.SIGINT, lambda *_: caught.append(1))
    try:
        runner = make_runner()
        runner.optimizer.register_step_post_hook(lambda *_: signal.raise_signal(signal.SIGINT))
        history = runner.fit(examples, examples, epochs=1, folder=tmp_path)
    finally:
        signal.signal(signal.SIGINT, before)
    assert len(caught) == len(history.train_loss) == 8
    assert not history.interrupted


def test_runs_in_another_thread(make_runner, examples, tmp_path):
    histories = []
    thread = threading.Thread(
        target=lambda: histories.append(make_runner().fit(examples, examples, epochs=1, folder=tmp_path))
    )
    thread.start()
    thread.join()
    assert len(histories[0].train_loss) == 8


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT to another process")
def test_a_real_ctrl_c(tmp_path):
    program = textwrap.dedent(
        f"""
        import torch
        from ostinato.train import Runner
        inputs = torch.randn(60, 4)
        model = torch.nn.Linear(4, 4)
        runner = Runner(model, torch.optim.SGD(model.parameters(), 0.01), evaluate_every=20)
        examples = inputs, inputs.argmax(dim=1)
        tell = lambda p: p.step == 100 and print("training", flush=True)
        history = runner.fit(examples, examples, epochs=10**6, folder={str(tmp_path)!r}, progress=tell)
        print("interrupted", history.interrupted, len(history.train_loss))
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "training\n"
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (0, "")
    word, flag, steps = out.split()
    assert (word, flag) == ("interrupted", "True")
    history = read_record(History, tmp_path / "history.json")
    assert history.interrupted
    assert len(history.train_loss) == int(steps) >= 100
    assert (tmp_path / "best.safetensors").exists()


def test_what_is_refused(make_runner, examples, tmp_path):
    inputs, labels = examples
    with pytest.raises(DataError, match=r"epochs \(0\)"):
        make_runner().fit(examples, examples, epochs=0, folder=tmp_path)
    with pytest.raises(DataError, match=r"evaluate_every \(0\)"):
        make_runner(evaluate_every=0).fit(examples, examples, epochs=1, folder=tmp_path)
    with pytest.raises(ShapeError, match="batch size is 0"):
        make_runner(batch_size=0).fit(examples, examples, epochs=1, folder=tmp_path)
    with pytest.raises(ShapeError, match=r"not \[60, 59\]"):
        make_runner().fit((inputs, labels[1:]), examples, epochs=1, folder=tmp_path)
    with pytest.raises(ShapeError, match=r"not \[0, 0\]"):
        make_runner().fit(examples, (inputs[:0], labels[:0]), epochs=1, folder=tmp_path)
