"""Populations: members that are, to the bit, what they are alone, and that compute what they compute alone."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from ostinato import cell, sigmoid, tanh
from ostinato.cells import CELLS
from ostinato.errors import DefinitionError, ShapeError
from ostinato.nn import (
    LSTM,
    SRN,
    Embedding,
    OneHotEmbedding,
    Population,
    Recurrent,
    SequenceClassifier,
    SequenceTagger,
    xavier_initialise,
)
from tolerances import assert_same

SEEDS = (3, 0, 2**40)


def alone(make, seed):
    torch.manual_seed(seed)
    return make()


def assert_computes_what_its_members_do(make, *inputs, **options):
    """Results and gradients; inputs and tensor options have a leading axis, of 1 where the members share them."""
    population = Population.build(make, SEEDS)
    results = population(*inputs, **options)
    results = flatten(results)
    cotangents = [torch.randn_like(result) for result in results]
    torch.autograd.backward(results, cotangents)
    for i, seed in enumerate(SEEDS):
        member = alone(make, seed)
        own = flatten(member(*(of_member(x, i) for x in inputs), **{k: of_member(v, i) for k, v in options.items()}))
        torch.autograd.backward(own, [c[i] for c in cotangents])
        for whole, expected in zip(results, own, strict=True):
            assert_same(whole[i].detach(), expected.detach())
        for name, parameter in member.named_parameters():
            stacked = population.network.get_parameter(name)
            assert_same(stacked.grad[i], parameter.grad, name)


def flatten(results):
    return [results] if isinstance(results, torch.Tensor) else [t for r in results for t in flatten(r)]


def of_member(value, i):
    if isinstance(value, tuple):
        return tuple(of_member(v, i) for v in value)
    return value[0 if len(value) == 1 else i]


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("make", [lambda c: SequenceClassifier(10, 4, cell=c), lambda c: Recurrent(c, 5, 6, 2)])
def test_members_start_to_the_bit_as_they_do_alone(name, make):
    def build():
        return xavier_initialise(make(name))

    before = torch.get_rng_state()
    population = Population.build(build, SEEDS)
    assert torch.equal(torch.get_rng_state(), before)
    for i, seed in enumerate(SEEDS):
        expected = alone(build, seed).state_dict()
        member = population.member(i)
        assert type(member) is type(make(name))
        assert list(member.state_dict()) == list(expected)
        for key, tensor in member.state_dict().items():
            assert torch.equal(tensor, expected[key]), key


@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("shared", [True, False])
def test_a_recurrent_layer_of_any_cell(name, shared):
    x = torch.randn(1 if shared else 3, 6, 4, 5)
    assert_computes_what_its_members_do(lambda: Recurrent(name, 5, 7), x)


def test_layers_directions_states_and_lengths():
    make = lambda: LSTM(5, 4, num_layers=2, bidirectional=True, batch_first=True)  # noqa: E731
    state = torch.randn(3, 4, 2, 4), torch.randn(3, 4, 2, 4)
    lengths = torch.tensor([[6, 2], [1, 0], [5, 6]])
    assert_computes_what_its_members_do(make, torch.randn(3, 2, 6, 5), state, lengths=lengths)
    assert_computes_what_its_members_do(make, torch.randn(1, 2, 6, 5), state, lengths=lengths[:1])


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("vocabulary", [4, 400], ids=["a table that is multiplied once", "a table that is looked up"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "mean", "bidirectional": True},
        {"padding_idx": 2, "num_layers": 2},
        {"cell": "gru", "bidirectional": True, "bias": "single"},
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceTagger])
def test_patterns(kind, options, vocabulary, shared):
    tokens = torch.randint(0, vocabulary, (1 if shared else 3, 4, 7))
    lengths = torch.tensor([[7, 1, 3, 5], [2, 7, 7, 1], [1, 1, 6, 2]])[: len(tokens)]
    make = lambda: kind(vocabulary, 3, embedding_dim=5, hidden_size=6, **options)  # noqa: E731
    assert_computes_what_its_members_do(make, tokens, lengths=lengths)
    assert_computes_what_its_members_do(make, tokens)


@pytest.mark.parametrize("kind", [SequenceClassifier, SequenceTagger])
def test_patterns_of_vectors(kind):
    assert_computes_what_its_members_do(lambda: kind(None, 1, embedding_dim=2, cell="srn"), torch.randn(3, 4, 7, 2))


@pytest.mark.parametrize("embedding", [Embedding, OneHotEmbedding])
@pytest.mark.parametrize("padding_idx", [None, 1])
def test_any_containers_of_layers_that_stack(embedding, padding_idx):
    make = lambda: nn.Sequential(embedding(5, 4, padding_idx), nn.Tanh(), nn.Linear(4, 3, bias=False))  # noqa: E731
    assert_computes_what_its_members_do(make, torch.randint(0, 5, (3, 2, 6)))
    assert_computes_what_its_members_do(make, torch.randint(0, 5, (1, 2, 6)))


def test_a_shared_input_is_not_copied(monkeypatch):
    shapes, scan = [], __import__("ostinato.nn.recurrent", fromlist=["scan"]).scan
    spy = lambda cell, x, *a, **k: shapes.append(list(x.shape)) or scan(cell, x, *a, **k)  # noqa: E731
    monkeypatch.setattr("ostinato.nn.recurrent.scan", spy)
    Population.build(lambda: SequenceClassifier(4, 3), SEEDS)(torch.randint(0, 4, (1, 2, 6)))
    Population.build(lambda: LSTM(4, 3), SEEDS)(torch.randn(1, 6, 2, 4))
    assert shapes == [[1, 6, 2], [1, 6, 2, 4]]


def test_modules_put_together_and_taken_out_again():
    members = [alone(lambda: LSTM(3, 4, 2), seed) for seed in SEEDS]
    population = Population(members)
    for i, member in enumerate(members):
        out = population.member(i)
        for name, tensor in out.state_dict().items():
            assert torch.equal(tensor, member.state_dict()[name])
        x = torch.randn(5, 2, 3)
        assert torch.equal(out(x)[0], member(x)[0])
    with torch.no_grad():
        members[0].weight_ih_l0.zero_()
        population.member(0).weight_ih_l0.zero_()
    assert population.network.weight_ih_l0[0].any()
    assert torch.equal(population.member(-1).weight_ih_l0, population.member(2).weight_ih_l0)


def test_a_member_comes_out_in_the_mode_of_the_population():
    population = Population.build(lambda: LSTM(3, 4), SEEDS)
    assert population.member(0).training
    assert not population.eval().member(0).training


def test_a_member_has_the_dtype_and_the_frozen_parameters_of_the_population():
    population = Population.build(lambda: LSTM(3, 4), SEEDS).double()
    population.network.weight_ih_l0.requires_grad_(False)
    with torch.no_grad():
        population.network.weight_hh_l0[1, 0, 0] = 1 + 1e-12
    member = population.member(1)
    assert member.weight_hh_l0[0, 0].item() == 1 + 1e-12
    assert not member.weight_ih_l0.requires_grad
    assert member.weight_hh_l0.requires_grad


@pytest.mark.parametrize("change", [{"max_norm": 0.1}, {"padding_idx": 0}, {"scale_grad_by_freq": True}], ids=str)
def test_an_embedding_that_was_put_in_does_what_it_does(change):
    torch.manual_seed(0)
    model = SequenceClassifier(10, 3)
    model.embedding = Embedding(10, 32, **change)
    tokens = torch.tensor([[0, 1, 1, 2] * 6])
    vectors = nn.Embedding(10, 32, **change)
    vectors.load_state_dict(model.embedding.state_dict())
    model(tokens).sum().backward()
    _, (h, _) = model.recurrent(vectors(tokens).transpose(0, 1))
    model.linear(h[-1]).sum().backward()
    assert_same(model.embedding.weight.grad, vectors.weight.grad)
    assert_same(model.embedding.weight.detach(), vectors.weight.detach())


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize("register", ["register_forward_hook", "register_full_backward_pre_hook"])
def test_hooks_of_the_embedding_are_called(register):
    model, called = SequenceClassifier(10, 3), []
    getattr(model.embedding, register)(lambda *_: called.append(1))
    model(torch.tensor([[0, 1, 1, 2] * 6])).sum().backward()
    assert called


def test_letting_members_go():
    population = Population.build(lambda: SequenceClassifier(4, 3), SEEDS)
    tokens = torch.randint(0, 4, (1, 2, 6))
    before, parameters = population(tokens), list(population.parameters())
    population.keep([2, 0])
    assert len(population) == 2
    assert all(a is b for a, b in zip(population.parameters(), parameters, strict=True))
    assert_same(population(tokens).detach(), before[[2, 0]].detach())
    population.keep([])
    assert len(population) == 0


def test_each_member_has_its_own_scale():
    population = Population.build(lambda: LSTM(3, 4), (5, 5, 5), scales=(1.0, 0.5, 2.0))
    for name, parameter in population.network.named_parameters():
        assert torch.equal(parameter[1], parameter[0] * 0.5), name
        assert torch.equal(parameter[2], parameter[0] * 2.0), name


def test_frozen_parameters_stay_frozen():
    def make():
        layer = LSTM(3, 4)
        layer.weight_hh_l0.requires_grad_(False)
        return layer

    network = Population.build(make, SEEDS).network
    assert not network.weight_hh_l0.requires_grad
    assert network.weight_ih_l0.requires_grad


def mine(activation):
    @cell(gates="a", state="h")
    def mine(a, h):
        return activation(a) + 0.5 * h

    return mine


def tied():
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


@pytest.mark.parametrize(
    ("message", "make"),
    [
        ("a population has at least one member", lambda: Population([])),
        (r"member 1 is not built like member 0: the network is LSTM\(3, 5\)",
         lambda: Population([LSTM(3, 4), LSTM(3, 5)])),
        ("member 1 is not built like member 0: weight is .* torch.float64",
         lambda: Population([nn.Linear(2, 2), nn.Linear(2, 2).double()])),
        ("a BatchNorm1d has 'weight' of its own and cannot be in a population",
         lambda: Population([nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))])),
        ("member 1 is not built like member 0: the network is SequenceClassifier.pooling=mean.",
         lambda: Population([SequenceClassifier(4, 3), SequenceClassifier(4, 3, pooling="mean")])),
        ("of another cell called 'mine'",
         lambda: Population([Recurrent(mine(tanh), 3, 4), Recurrent(mine(sigmoid), 3, 4)])),
        ("on backend 'cpu'", lambda: Population([LSTM(3, 4), LSTM(3, 4, backend="cpu")])),
        ("gradient False", lambda: Population([LSTM(3, 4), LSTM(3, 4).requires_grad_(False)])),
        ("an Embedding with max_norm", lambda: Population([Embedding(4, 3, max_norm=1.0)])),
        ("0.weight and 1.weight are one parameter", lambda: Population([tied()])),
        ("a Tanh has no parameters", lambda: Population([nn.Tanh()])),
        ("there are 2 scales for 3 seeds", lambda: Population.build(lambda: LSTM(3, 4), SEEDS, scales=(1, 2))),
    ],
)  # fmt: skip
def test_what_is_no_population(message, make):
    with pytest.raises(DefinitionError, match=message):
        make()


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"input is \[5, 2, 3\]; for a population of 3 it must be \[3, T, B, 3\], or \[1, T, B, 3\]",
         lambda: Population.build(lambda: LSTM(3, 4), SEEDS)(torch.randn(5, 2, 3))),
        (r"input is \[2, 5, 2, 3\]", lambda: Population.build(lambda: LSTM(3, 4), SEEDS)(torch.randn(2, 5, 2, 3))),
        (r"tokens is \[2, 6\]; it must be \[P, B, T\]",
         lambda: Population.build(lambda: SequenceClassifier(4, 3), SEEDS)(torch.zeros(2, 6, dtype=torch.int64))),
        (r"initial state h is \[1, 2, 4\]; it must be \[P, num_layers \* directions, B, D\] = \[3, 1, 2, 4\]",
         lambda: Population.build(lambda: SRN(3, 4), SEEDS)(torch.randn(1, 5, 2, 3), torch.randn(1, 2, 4))),
        (r"input is \[2, 2, 3\]; for a population of 3 it must be \[3, ..., 3\]",
         lambda: Population.build(lambda: nn.Linear(3, 4), SEEDS)(torch.randn(2, 2, 3))),
        (r"network.weight is \[2, 5, 3\]; it must be \[P, 4, 3\]",
         lambda: Population.build(lambda: nn.Linear(3, 4), SEEDS).assign({"network.weight": torch.zeros(2, 5, 3)})),
        ("an id is 9; the table has rows from 0 to 3",
         lambda: Population.build(lambda: SequenceClassifier(4, 3), SEEDS)(torch.full((1, 2, 6), 9))),
        ("the ids are from 9 to 9; a table has 4 rows",
         lambda: Population.build(lambda: Embedding(4, 3), SEEDS)(torch.full((1, 2, 6), 9))),
    ],
)  # fmt: skip
def test_what_a_population_does_not_take(message, call):
    with pytest.raises(ShapeError, match=message):
        call()


def test_there_is_no_member_beyond_the_last():
    with pytest.raises(IndexError, match="there is no member 3 in a population of 3"):
        Population.build(lambda: LSTM(3, 4), SEEDS).member(3)
