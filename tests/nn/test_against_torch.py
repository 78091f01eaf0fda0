"""Output, final states and every gradient of a layer are those of torch.nn, in every form of input."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

import ostinato.nn as ours

LAYERS = {
    "lstm": (torch.nn.LSTM, ours.LSTM, {}),
    "gru": (torch.nn.GRU, ours.GRU, {}),
    "tanh": (torch.nn.RNN, ours.RNN, {}),
    "relu": (torch.nn.RNN, ours.RNN, {"nonlinearity": "relu"}),
}
FORMS = ("padded", "unbatched", "sorted", "unsorted")


def pair(kind: str, input_size: int, hidden_size: int, *, backend: str, **options):
    """A layer of torch and one of ours with the same parameters."""
    theirs_class, ours_class, extra = LAYERS[kind]
    theirs = theirs_class(input_size, hidden_size, **extra, **options)
    layer = ours_class(input_size, hidden_size, **extra, **options, backend=backend)
    layer.load_state_dict(theirs.state_dict(), strict=True)
    return theirs, layer


def as_tuple(state) -> tuple:
    return state if isinstance(state, tuple) else (state,)


def run(layer, x, lengths, enforce_sorted, states, cotangents):
    """Results and gradients of one forward and backward pass, tensors only."""
    x = x.clone().requires_grad_()
    states = None if states is None else tuple(s.clone().requires_grad_() for s in states)
    hx = states if states is None or len(states) > 1 else states[0]
    packed = None
    given_input = x
    if lengths is not None:
        given_input = pack_padded_sequence(x, lengths, batch_first=layer.batch_first, enforce_sorted=enforce_sorted)
    output, final = layer(given_input, hx)
    if isinstance(output, PackedSequence):
        packed = tuple(output)[1:]
        output, _ = pad_packed_sequence(output, batch_first=layer.batch_first)
    results = (output, *as_tuple(final))
    gradients = torch.autograd.grad(
        results,
        [x, *layer.parameters(), *(states or ())],
        [c[: r.numel()].view(r.shape) for c, r in zip(cotangents, results, strict=True)],
    )
    return results, gradients, packed


def check_equal(close, theirs, layer, x, lengths=None, enforce_sorted=True, with_state=True):
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    batch = () if x.dim() == 2 else (x.shape[0 if layer.batch_first else 1],)
    count = 2 if isinstance(theirs, torch.nn.LSTM) else 1
    states = tuple(torch.randn(rows, *batch, layer.hidden_size, dtype=x.dtype) for _ in range(count))
    cotangents = [torch.randn(10_000, dtype=x.dtype) for _ in range(1 + count)]
    arguments = (x, lengths, enforce_sorted, states if with_state else None, cotangents)
    results, gradients, packed = run(layer, *arguments)
    expected_results, expected_gradients, expected_packed = run(theirs, *arguments)
    close(results, expected_results)
    close(gradients, expected_gradients)
    assert (packed is None) == (expected_packed is None)
    for index, expected in zip(packed or (), expected_packed or (), strict=True):
        assert (index is None and expected is None) or torch.equal(index, expected)


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("bias", [True, False], ids=["bias", "no_bias"])
@pytest.mark.parametrize("batch_first", [False, True], ids=["time_major", "batch_first"])
@pytest.mark.parametrize("bidirectional", [False, True], ids=["one_way", "both_ways"])
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("kind", LAYERS)
def test_equal(close, kind, num_layers, bidirectional, batch_first, bias, form, backend):
    theirs, layer = pair(
        kind,
        3,
        5,
        num_layers=num_layers,
        bidirectional=bidirectional,
        batch_first=batch_first,
        bias=bias,
        dtype=torch.float64,
        backend=backend,
    )
    if form == "unbatched":
        check_equal(close, theirs, layer, torch.randn(6, 3, dtype=torch.float64))
        return
    x = torch.randn(4, 6, 3, dtype=torch.float64) if batch_first else torch.randn(6, 4, 3, dtype=torch.float64)
    lengths = {"padded": None, "sorted": [6, 4, 4, 1], "unsorted": [4, 1, 6, 4]}[form]
    check_equal(close, theirs, layer, x, lengths, enforce_sorted=form == "sorted")


@pytest.mark.parametrize("backend", ["reference", "auto"])
@pytest.mark.parametrize("kind", LAYERS)
@settings(max_examples=50, deadline=None, derandomize=True)
@given(data=st.data())
def test_equal_at_any_size(close, kind, backend, data):
    sizes = st.integers(1, 19)
    steps, batch, features, units = (data.draw(sizes, label=name) for name in ("T", "B", "M", "D"))
    dtype = data.draw(st.sampled_from([torch.float32, torch.float64]), label="dtype")
    theirs, layer = pair(
        kind, features, units, bidirectional=data.draw(st.booleans(), label="both ways"), dtype=dtype, backend=backend
    )
    lengths = data.draw(st.none() | st.lists(st.integers(1, steps), min_size=batch, max_size=batch), label="lengths")
    x = torch.randn(steps, batch, features, dtype=dtype)
    with_state = data.draw(st.booleans(), label="with state")
    check_equal(close, theirs, layer, x, lengths, enforce_sorted=False, with_state=with_state)


@pytest.mark.parametrize("kind", LAYERS)
def test_dropout_draws_the_masks_of_torch(close, kind):
    theirs, layer = pair(kind, 3, 5, num_layers=3, dropout=0.4, bidirectional=True, backend="reference")
    x = torch.randn(6, 4, 3)
    torch.manual_seed(1)
    expected = theirs(x)
    torch.manual_seed(1)
    close(layer(x), expected)


@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_same_seed_gives_the_same_parameters(kind, options):
    theirs_class, ours_class, extra = LAYERS[kind]
    torch.manual_seed(7)
    expected = theirs_class(3, 5, **extra, **options).state_dict()
    torch.manual_seed(7)
    actual = ours_class(3, 5, **extra, **options).state_dict()
    assert list(actual) == list(expected)
    for name in expected:
        assert torch.equal(actual[name], expected[name])


@pytest.mark.parametrize("kind", LAYERS)
def test_state_dict_moves_back(kind):
    theirs, layer = pair(kind, 3, 5, num_layers=2, bidirectional=True, backend="auto")
    layer.reset_parameters()
    theirs.load_state_dict(layer.state_dict(), strict=True)
    for name, parameter in theirs.named_parameters():
        assert torch.equal(parameter, layer.state_dict()[name])


def test_arguments_are_those_of_torch_in_their_order():
    assert repr(ours.LSTM(3, 5, 2, False, True, 0.5, True)) == repr(torch.nn.LSTM(3, 5, 2, False, True, 0.5, True))
    assert repr(ours.GRU(3, 5, 2, False, True, 0.5, True)) == repr(torch.nn.GRU(3, 5, 2, False, True, 0.5, True))
    theirs = torch.nn.RNN(3, 5, 2, "relu", False, True, 0.5, True)
    assert repr(ours.RNN(3, 5, 2, "relu", False, True, 0.5, True)) == repr(theirs).replace("RNN", "SRN")


def test_batch_first_output_has_the_strides_of_torch():
    theirs, layer = pair("gru", 3, 5, batch_first=True, backend="auto")
    x = torch.randn(4, 6, 3)
    assert layer(x)[0].stride() == theirs(x)[0].stride()


@pytest.mark.parametrize(
    "options", [{"dropout": 1.5}, {"dropout": True}, {"num_layers": 0}, {"hidden_size": 0}, {"input_size": -1}]
)
def test_arguments_that_torch_refuses_are_refused(options):
    arguments = {"input_size": 3, "hidden_size": 5} | options
    for layer in (torch.nn.LSTM, ours.LSTM):
        with pytest.raises(ValueError, match=f"{next(iter(options))} (should be|must be)"):
            layer(**arguments)


@pytest.mark.parametrize("options", [{"bias": 1}, {"batch_first": 0}, {"hidden_size": 2.0}])
def test_types_that_torch_refuses_are_refused(options):
    arguments = {"input_size": 3, "hidden_size": 5} | options
    for layer in (torch.nn.LSTM, ours.LSTM):
        with pytest.raises(TypeError, match=f"{next(iter(options))} should be"):
            layer(**arguments)


def test_dropout_with_one_layer_warns_as_torch_does():
    with pytest.warns(UserWarning, match="dropout option") as theirs:
        torch.nn.LSTM(3, 5, dropout=0.5)
    with pytest.warns(UserWarning, match="dropout option") as warned:
        ours.Recurrent("lstm", 3, 5, dropout=0.5)
    assert str(warned[0].message) == str(theirs[0].message)
    assert warned[0].filename == __file__
