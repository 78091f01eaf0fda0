"""The CPU backend as a machine: which path runs, what it keeps, threads, processes, and cells it never saw."""

from __future__ import annotations

import multiprocessing
import threading
from dataclasses import replace

import pytest
import torch

from contract.problems import everything, random_case
from ostinato.cell import cell
from ostinato.cells import CELLS
from ostinato.errors import BackendError
from ostinato.expr import compare, exp, log, maximum, minimum, relu, sigmoid, softplus, sqrt, tanh
from ostinato.scan import cpu, memory, reference, scan, threads
from ostinato.scan.plan import Plan
from tolerances import assert_same

LSTM = CELLS["lstm"]


@pytest.fixture
def launched(monkeypatch):
    """The kernels that are launched, as pairs of a name and its arguments."""
    found = []
    launch = Plan.launch

    def spy(self, name, pointwise, work, arguments):
        found.append((name, arguments))
        launch(self, name, pointwise, work, arguments)

    monkeypatch.setattr(Plan, "launch", spy)
    return found


def test_auto_takes_the_kernels_and_never_the_reference(monkeypatch, launched):
    monkeypatch.setattr(reference, "run", None)
    case = random_case(LSTM)
    case.x.requires_grad_()
    case.weights.weight_hh.requires_grad_()
    result = case.run("auto")
    assert result.backend == "cpu"
    result.output.sum().backward()
    assert [name for name, _ in launched] == ["forward", "backward"]
    assert launched[1][1]["want_x"]
    assert launched[1][1]["want_weights"]


def test_what_needs_no_gradient_costs_no_product(launched):
    case = random_case(LSTM)
    case.x.requires_grad_()
    case.run("cpu").output.sum().backward()
    assert not launched[1][1]["want_weights"]
    case = random_case(LSTM)
    case.weights.bias_ih.requires_grad_()
    case.run("cpu").output.sum().backward()
    assert not launched[3][1]["want_x"]
    assert not launched[3][1]["want_weights"]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_what_the_kernels_cannot_do_runs_on_the_reference_or_raises_by_name(dtype):
    case = random_case(LSTM).to(dtype)
    assert case.run("auto").backend == "reference"
    with pytest.raises(BackendError, match=f"backend 'cpu' cannot run cell 'lstm': .* not {dtype}"):
        case.run("cpu")


def test_an_unknown_backend_is_refused_with_the_names_there_are():
    with pytest.raises(BackendError, match="no backend is called 'gpu'; there are: auto, cpu, reference"):
        random_case(LSTM).run("gpu")


def test_without_gradients_nothing_is_kept(monkeypatch):
    rows = []
    for name in ("empty", "borrow"):
        take = getattr(cpu, name)
        spy = lambda *shape, dtype, take=take: rows.append(shape[0]) or take(*shape, dtype=dtype)  # noqa: E731
        monkeypatch.setattr(cpu, name, spy)
    case = random_case(LSTM, steps=50, batch=4, dtype=torch.float32)
    with torch.no_grad():
        output = case.run("cpu").output
    assert output.grad_fn is None
    assert sorted(rows) == [0, 4, 200]  # no state kept, gates of one step, the output itself
    assert_same(output, case.run("reference").output)


def test_backward_twice_gives_the_same_twice():
    case = random_case(CELLS["gru"])
    case.weights.weight_hh.requires_grad_()
    loss = case.run("cpu").output.square().sum()
    first, second = (torch.autograd.grad(loss, case.weights.weight_hh, retain_graph=True)[0] for _ in range(2))
    assert torch.equal(first, second)


def test_a_weight_changed_between_forward_and_backward_is_noticed():
    case = random_case(LSTM)
    case.weights.weight_hh.requires_grad_()
    output = case.run("cpu").output
    with torch.no_grad():
        case.weights.weight_hh.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@pytest.mark.parametrize("lengths", ["none", "shared"])
def test_two_threads_compute_what_one_does(lengths):
    case = random_case(LSTM, population=2, steps=20, batch=50, inputs=32, units=32, lengths=lengths)
    one = everything(case, "cpu")
    torch.set_num_threads(2)
    for name, value in everything(case, "cpu").items():
        assert_same(value, one[name], name)


def test_without_openmp_python_threads_do_the_work(monkeypatch):
    case = random_case(LSTM, steps=20, batch=50, inputs=32, units=32)
    one = everything(case, "cpu")
    torch.set_num_threads(2)
    monkeypatch.setattr(threads, "_gomp_parallel", lambda: None)
    helpers = []
    start = threading.Thread.start
    monkeypatch.setattr(threading.Thread, "start", lambda self: helpers.append(self) or start(self))
    for name, value in everything(case, "cpu").items():
        assert_same(value, one[name], name)
    assert helpers


def test_eight_python_threads_at_once():
    torch.set_num_threads(2)
    cases = [random_case(LSTM, steps=20, batch=40, inputs=32, units=32, seed=seed) for seed in range(8)]
    expected = [everything(case, "cpu") for case in cases]
    found: dict[int, bool] = {}

    def work(k: int) -> None:
        results = [everything(cases[k], "cpu") for _ in range(5)]
        found[k] = all(torch.equal(r["output"], expected[k]["output"]) for r in results)

    workers = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert found == dict.fromkeys(range(8), True)


def _in_a_child(queue) -> None:
    torch.use_deterministic_algorithms(False)  # filling memory is torch's own parallel work, which hangs in a child
    queue.put(everything(_for_a_child(), "cpu")["output"][0, -1, -1].tolist())


def _for_a_child():
    """Enough work for two threads of ours, too little for two of torch's."""
    return random_case(LSTM, steps=12, batch=40, inputs=32, units=32)


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="this system cannot fork")
def test_a_forked_child_of_a_process_that_used_threads_computes_too():
    torch.set_num_threads(2)
    expected = everything(_for_a_child(), "cpu")["output"][0, -1, -1].tolist()
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=_in_a_child, args=(queue,))
    child.start()
    child.join(timeout=30)
    alive = child.is_alive()
    child.kill()
    assert not alive, "the child hangs"
    assert queue.get() == expected


@cell(gates="state output z load", state="units sums", vectors="kept width slots", split="z", input_only="load")
def every_operation(state, output, z, load, units, sums, kept, width, slots):
    """A cell of every operation, whose names are those of the kernel's own variables."""
    a = softplus(state) - log(1.5 + abs(units)) * slots
    b = exp(minimum(output, 0.3)) / sqrt(2 + sums * sums)
    c = maximum(tanh(z.x) * width, sigmoid(z.h) - 0.1) + relu(load - 0.2)
    return -a * b + compare(c, 0.4) * 0.5 + c, 0.7 * sums + kept * c - 1e-3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lengths", ["none", "own"])
def test_a_cell_of_every_operation_with_awkward_names(dtype, lengths):
    case = random_case(every_operation, population=2, steps=4, batch=5, units=19, dtype=dtype, lengths=lengths)
    expected = everything(case, "reference")
    for name, value in everything(case, "cpu").items():
        assert_same(value, expected[name], name)


@cell(gates="a b", state="h", input_only="b", recurrence="diagonal")
def half_diagonal(a, b, h):
    """A diagonal recurrence that feeds one gate of two."""
    return tanh(a) + b * h


@cell(gates="a", state="h m")
def without_gradient(a, h, m):
    """The gradient of a is zero everywhere, and m only counts."""
    return compare(a, 0.0), m + 1


@cell(gates="units g", state="h", vectors="units_ tanh_g")
def names_alike(units, g, h, units_, tanh_g):
    """Names that those of the derived sources could be mistaken for."""
    return tanh(units) * units_ + tanh(g) * tanh_g


@pytest.mark.parametrize("definition", [half_diagonal, without_gradient, names_alike], ids=str)
def test_corners_of_what_a_definition_can_say(definition):
    case = random_case(definition, population=2, steps=4, batch=5, units=6)
    expected = everything(case, "reference")
    for name, value in everything(case, "cpu").items():
        assert_same(value, expected[name], name)


def test_integer_lengths_of_any_kind_are_taken():
    case = random_case(LSTM, population=None, steps=4, batch=3)
    expected = replace(case, lengths=torch.tensor([2, 4, 0])).run("cpu").output
    for lengths in ([2, 4, 0], torch.tensor([2, 4, 0], dtype=torch.int32)):
        assert torch.equal(scan(LSTM, case.x, case.weights, case.state, lengths=lengths).output, expected)


def test_a_buffer_is_used_again_and_only_by_one_at_a_time():
    """Two trainings in turns, of equal sizes: neither finds the other's numbers in its buffers, nor in its results."""
    case = random_case(CELLS["lstm"], steps=40, batch=30, units=70, dtype=torch.float32)
    named = {name: tensor.requires_grad_() for name, tensor in case.tensors().items()}

    def gradients(result):
        return torch.autograd.grad(result.output.sum(), list(named.values()), allow_unused=True)

    expected = gradients(case.with_tensors(named).run("reference"))
    memory._waiting.clear()
    found = []
    for _ in range(3):
        first, second = case.with_tensors(named).run("cpu"), case.with_tensors(named).run("cpu")
        found += [gradients(second), gradients(first)]
    assert memory._waiting
    assert all(tensor.nbytes <= memory._MOST for tensor in memory._waiting.values())
    for one in found:
        for name, a, b in zip(named, one, expected, strict=True):
            assert_same(a, b, name, allowance=1e-4)
