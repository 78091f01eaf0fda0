"""What `Recurrent` promises for every cell, beyond being equal to torch.nn where torch.nn has the cell."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

from ostinato.cell import cell
from ostinato.cells import CELLS
from ostinato.errors import BackendError, ShapeError
from ostinato.expr import sigmoid, tanh
from ostinato.nn import GRU, LSTM, RNN, SRN, Recurrent
from ostinato.scan import BACKENDS

BOTH_BACKENDS = pytest.mark.parametrize("backend", ["reference", "auto"])
EVERY_CELL = pytest.mark.parametrize("name", CELLS)


def as_tuple(state) -> tuple:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("lstm", {"weight_ih": (8, 3), "weight_hh": (8, 2), "bias_ih": (8,), "bias_hh": (8,)}),
        ("indrnn", {"weight_ih": (2, 3), "weight_hh": (2,), "bias_ih": (2,), "bias_hh": (2,)}),
        ("mingru", {"weight_ih": (4, 3), "bias_ih": (4,)}),
        (
            "peephole_lstm",
            {"weight_ih": (8, 3), "weight_hh": (8, 2), "bias_ih": (8,), "bias_hh": (8,)}
            | dict.fromkeys(("w_ci", "w_cf", "w_co"), (2,)),
        ),
    ],
)
def test_parameters(name, expected):
    layer = Recurrent(name, 3, 2, num_layers=2, bidirectional=True)
    shapes = {n: tuple(p.shape) for n, p in layer.named_parameters()}
    names = [f"{n}_l{k}{suffix}" for k in (0, 1) for suffix in ("", "_reverse") for n in expected]
    assert list(shapes) == names
    for n, shape in expected.items():
        assert shapes[f"{n}_l0_reverse"] == shape
        assert shapes[f"{n}_l1"] == ((shape[0], 4) if n == "weight_ih" else shape)


@pytest.mark.parametrize(
    ("bias", "names"), [(True, ["bias_ih_l0", "bias_hh_l0"]), ("single", ["bias_ih_l0"]), (False, [])]
)
def test_bias(bias, names):
    layer = GRU(3, 2, bias=bias)
    assert [n for n, _ in layer.named_parameters() if n.startswith("bias")] == names


def test_single_bias_is_two_with_one_at_zero(close):
    layer, both = SRN(3, 2, bias="single"), SRN(3, 2)
    missing = both.load_state_dict(layer.state_dict(), strict=False).missing_keys
    assert missing == ["bias_hh_l0"]
    torch.nn.init.zeros_(both.bias_hh_l0)
    x = torch.randn(5, 4, 3)
    close(layer(x), both(x))


@EVERY_CELL
@BOTH_BACKENDS
def test_each_sequence_of_a_padded_batch_is_as_if_alone(close, name, backend):
    layer = Recurrent(name, 3, 4, 2, bidirectional=True, dtype=torch.float64, backend=backend)
    lengths = [3, 0, 6, 1]
    x = torch.randn(6, 4, 3, dtype=torch.float64, requires_grad=True)
    states = tuple(torch.randn(4, 4, 4, dtype=torch.float64, requires_grad=True) for _ in layer.cell.states)
    sources = [x, *states, *layer.parameters()]
    output, final = layer(x, states if len(states) > 1 else states[0], lengths=lengths)
    cotangents = [torch.randn_like(r) for r in (output, *as_tuple(final))]
    gradients = torch.autograd.grad((output, *as_tuple(final)), sources, cotangents)

    alone = []
    for b, length in enumerate(lengths):
        assert not output[length:, b].any()
        own = tuple(s[:, b] for s in states)
        if length == 0:
            close(tuple(s[:, b] for s in as_tuple(final)), own)
            own_output, own_final = x[:0, b, :1].expand(0, 8), own
        else:
            own_output, own_final = layer(x[:length, b], own if len(own) > 1 else own[0])
            close(output[:length, b], own_output)
            close(tuple(s[:, b] for s in as_tuple(final)), as_tuple(own_final))
        results = [own_output, *as_tuple(own_final)]
        own_cotangents = [cotangents[0][:length, b], *(c[:, b] for c in cotangents[1:])]
        alone += [(r * c).sum() for r, c in zip(results, own_cotangents, strict=True)]
    close(gradients, torch.autograd.grad(sum(alone), sources))


@EVERY_CELL
@BOTH_BACKENDS
def test_a_sequence_cut_in_two_gives_what_the_whole_gives(close, name, backend):
    layer = Recurrent(name, 3, 4, 2, dtype=torch.float64, backend=backend)
    x = torch.randn(7, 2, 3, dtype=torch.float64)
    output, final = layer(x)
    first, state = layer(x[:3])
    second, state = layer(x[3:], state)
    close(torch.cat((first, second)), output)
    close(state, final)


@BOTH_BACKENDS
def test_packed_is_padded_with_lengths(close, backend):
    layer = Recurrent("peephole_lstm", 3, 4, 2, bidirectional=True, dtype=torch.float64, backend=backend)
    lengths = torch.tensor([2, 5, 1])
    x = torch.randn(5, 3, 3, dtype=torch.float64)
    h = tuple(torch.randn(4, 3, 4, dtype=torch.float64) for _ in range(2))
    packed, state = layer(pack_padded_sequence(x, lengths, enforce_sorted=False), h)
    output, expected = layer(x, h, lengths=lengths)
    close(pad_packed_sequence(packed)[0], output)
    close(state, expected)


def test_batch_first_changes_the_layout_and_nothing_else(close):
    layer = Recurrent("peephole_lstm", 3, 4)
    other = Recurrent("peephole_lstm", 3, 4, batch_first=True)
    other.load_state_dict(layer.state_dict())
    x = torch.randn(6, 2, 3)
    output, state = layer(x, lengths=[6, 2])
    transposed, same = other(x.transpose(0, 1), lengths=[6, 2])
    close(transposed, output.transpose(0, 1))
    close(same, state)


@pytest.mark.parametrize(("steps", "batch"), [(0, 2), (3, 0)])
@BOTH_BACKENDS
def test_nothing_to_do(steps, batch, backend):
    output, (h, c) = LSTM(3, 4, 2, bidirectional=True, backend=backend)(torch.randn(steps, batch, 3))
    assert output.shape == (steps, batch, 8)
    assert h.shape == c.shape == (4, batch, 4)
    assert not h.any()


def test_a_cell_of_ones_own(close):
    @cell(gates="f g", state="h")
    def mgu(f, g, h):
        return (1 - sigmoid(f)) * h + sigmoid(f) * tanh(g)

    layer = Recurrent(mgu, 3, 4)
    x = torch.randn(5, 2, 3)
    output, h_n = layer(x)
    weights = layer.state_dict()
    h = torch.zeros(2, 4)
    for t in range(5):
        z = x[t] @ weights["weight_ih_l0"].T + weights["bias_ih_l0"]
        f, g = (z + h @ weights["weight_hh_l0"].T + weights["bias_hh_l0"]).chunk(2, dim=1)
        h = (1 - f.sigmoid()) * h + f.sigmoid() * g.tanh()
        close(output[t].detach(), h)
    close(h_n[0].detach(), h)


@BOTH_BACKENDS
def test_every_vector_reaches_its_own_gate(close, backend):
    layer = Recurrent("peephole_lstm", 3, 4, backend=backend)
    x = torch.randn(1, 2, 3)
    h, c = torch.randn(1, 2, 4), torch.randn(1, 2, 4)
    slots = x[0] @ layer.weight_ih_l0.T + layer.bias_ih_l0 + h[0] @ layer.weight_hh_l0.T + layer.bias_hh_l0
    i, f, g, o = slots.chunk(4, dim=1)
    i, f = i + layer.w_ci_l0 * c[0], f + layer.w_cf_l0 * c[0]
    next_c = f.sigmoid() * c[0] + i.sigmoid() * g.tanh()
    next_h = (o + layer.w_co_l0 * next_c).sigmoid() * next_c.tanh()
    close(layer(x, (h, c)), (next_h[None], (next_h[None], next_c[None])))


@EVERY_CELL
def test_copies_compute_the_same(close, name):
    layer = Recurrent(name, 3, 4, 2, bidirectional=True)
    x = torch.randn(5, 2, 3)
    saved = io.BytesIO()
    torch.save(layer, saved)
    saved.seek(0)
    for other in (
        copy.deepcopy(layer),
        pickle.loads(pickle.dumps(layer)),
        torch.load(saved, weights_only=False),
    ):
        close(other(x), layer(x))
        torch.nn.init.zeros_(other.weight_ih_l0)
        assert layer.weight_ih_l0.any()


def test_double_and_back(close):
    layer = LSTM(3, 4)
    x = torch.randn(5, 2, 3)
    before = layer(x)
    assert layer.double()(x.double())[0].dtype == torch.float64
    close(layer.float()(x), before)


def test_replaced_weights_are_used(close):
    layer, other = GRU(3, 4), GRU(3, 4)
    x = torch.randn(5, 2, 3)
    close(torch.func.functional_call(layer, dict(other.named_parameters()), (x,)), other(x))
    expected = layer(x)
    layer.weight_hh_l0 = torch.nn.Parameter(torch.zeros(12, 4))
    assert not torch.equal(layer(x)[0], expected[0])


def test_parametrised_weights_are_used(close):
    layer = SRN(3, 4)
    x = torch.randn(5, 2, 3)
    expected = layer(x)
    torch.nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")
    close(layer(x), expected)
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.zero_()
    output, _ = layer(x)
    close(output, torch.tanh(x @ layer.weight_ih_l0.T + layer.bias_ih_l0 + layer.bias_hh_l0))


def test_dropout_is_between_layers_and_in_training(close):
    layer = GRU(3, 4, 2, dropout=0.5)
    without = GRU(3, 4, 2)
    without.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3)
    assert not torch.equal(layer(x)[0], without(x)[0])
    close(layer.eval()(x), without(x))

    everything = GRU(3, 4, 2, dropout=1.0)
    output, h = everything(x)
    close(output, everything(torch.randn(5, 2, 3))[0])  # nothing passes to the second layer
    assert not torch.equal(h[0], everything(torch.randn(5, 2, 3))[1][0])  # but the first one is whole


def test_ran_on():
    layer = SRN(3, 4, backend="reference")
    assert layer.ran_on == ""
    layer(torch.randn(5, 2, 3))
    assert layer.ran_on == "reference"
    layer.backend = "auto"
    layer(torch.randn(5, 2, 3))
    assert layer.ran_on in BACKENDS
    with pytest.raises(BackendError, match="no backend is called 'fast'"):
        SRN(3, 4, backend="fast")(torch.randn(5, 2, 3))


def test_backward_in_eval_mode_and_without_gradients():
    layer = LSTM(3, 4).eval()
    layer(torch.randn(5, 2, 3))[0].sum().backward()
    assert layer.weight_hh_l0.grad.any()
    with torch.no_grad():
        assert not layer(torch.randn(5, 2, 3))[0].requires_grad


def test_repr():
    assert repr(Recurrent("indrnn", 3, 4, 2)) == "Recurrent(cell=indrnn, 3, 4, num_layers=2)"
    assert repr(LSTM(3, 4, bias="single")) == "LSTM(3, 4, bias=single)"


def test_flatten_parameters_changes_nothing():
    layer = LSTM(3, 4)
    before = copy.deepcopy(layer.state_dict())
    layer.flatten_parameters()
    assert all(torch.equal(before[n], p) for n, p in layer.state_dict().items())


@pytest.mark.parametrize(
    ("error", "message", "make"),
    [
        (ValueError, "no cell is called 'lstmm'; there are: srn, .*lstm", lambda: Recurrent("lstmm", 3, 4)),
        (ValueError, "num_layers must be greater than zero, not 0", lambda: LSTM(3, 4, 0)),
        (TypeError, "bias should be True, False or 'single', got: 'both'", lambda: LSTM(3, 4, bias="both")),
        (ValueError, "Unknown nonlinearity 'gelu'", lambda: RNN(3, 4, nonlinearity="gelu")),
        (ValueError, "proj_size must be 0, not 2", lambda: LSTM(3, 4, proj_size=2)),
    ],
)
def test_refused_arguments(error, message, make):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (r"input is \[5, 2, 9\]; it must be \[T, B, 3\], or \[T, 3\]", lambda: LSTM(3, 4)(torch.randn(5, 2, 9))),
        (r"it must be \[B, T, 3\]", lambda: LSTM(3, 4, batch_first=True)(torch.randn(5))),
        (
            r"input is torch.float64, the parameters are torch.float32",
            lambda: LSTM(3, 4)(torch.randn(5, 2, 3).double()),
        ),
        (
            r"hx is a tensor \[1, 2, 4\]; for cell 'lstm' it must be a tuple \(h, c\)",
            lambda: LSTM(3, 4)(torch.randn(5, 2, 3), torch.randn(1, 2, 4)),
        ),
        (
            r"hx is 1 tensor\(s\) in a tuple; for cell 'gru' it must be a tensor",
            lambda: GRU(3, 4)(torch.randn(5, 2, 3), (torch.randn(1, 2, 4),)),
        ),
        (
            r"initial state c is \[1, 3, 4\]; it must be \[num_layers \* directions, B, D\] = \[2, 3, 4\]",
            lambda: LSTM(3, 4, 2)(torch.randn(5, 3, 3), (torch.randn(2, 3, 4), torch.randn(1, 3, 4))),
        ),
        (
            r"initial state h is \[1, 1, 4\]; it must be \[num_layers \* directions, D\] = \[1, 4\]",
            lambda: GRU(3, 4)(torch.randn(5, 3), torch.randn(1, 1, 4)),
        ),
        (r"float64", lambda: GRU(3, 4)(torch.randn(5, 2, 3), torch.randn(1, 2, 4).double())),
        (r"a length is 6; lengths go from 0 to T = 5", lambda: GRU(3, 4)(torch.randn(5, 2, 3), lengths=[6, 1])),
        (r"lengths is \[3\]; it must be \[B\] = \[2\]", lambda: GRU(3, 4)(torch.randn(5, 2, 3), lengths=[1, 2, 3])),
        (r"lengths must be None for a single sequence", lambda: GRU(3, 4)(torch.randn(5, 3), lengths=[4])),
        (
            "lengths must be None for a PackedSequence",
            lambda: GRU(3, 4)(pack_sequence([torch.randn(5, 3)]), lengths=[5]),
        ),
        (r"must be \[steps, 3\]", lambda: GRU(3, 4)(pack_sequence([torch.randn(5)]))),
        (r"it must be .*\[num_layers", lambda: GRU(3, 4)(pack_sequence([torch.randn(5, 3)]), torch.randn(1, 2, 4))),
    ],
)
def test_refused_inputs(message, call):
    with pytest.raises(ShapeError, match=message):
        call()
