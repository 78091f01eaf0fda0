"""Gradients as a training loop meets them: in `.grad`, added up, clipped, shared, differentiated again."""

from __future__ import annotations

import copy
import itertools
from dataclasses import replace

import pytest
import torch

from contract.problems import everything, random_case
from ostinato import nn
from ostinato.cells import CELLS
from tolerances import assert_same

PAIRS = [(nn.LSTM, torch.nn.LSTM), (nn.GRU, torch.nn.GRU), (nn.RNN, torch.nn.RNN)]


def pair(ours, theirs):
    torch.manual_seed(0)
    peer = theirs(5, 16, bidirectional=True).double()
    layer = ours(5, 16, bidirectional=True).double()
    layer.load_state_dict(peer.state_dict())
    return layer, peer


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_grad_adds_up_and_is_clipped_as_in_torch(ours, theirs):
    layers = pair(ours, theirs)
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    for layer in layers:
        for _ in range(2):
            layer(x)[0].square().sum().backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
    for (name, p), q in zip(layers[0].named_parameters(), layers[1].parameters(), strict=True):
        assert_same(p.grad, q.grad, name)


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_adam_goes_where_it_goes_with_torch(ours, theirs):
    layers = pair(ours, theirs)
    x = torch.randn(6, 3, 5, dtype=torch.float64)
    for layer in layers:
        optimizer = torch.optim.Adam(layer.parameters(), 0.01)
        for _ in range(5):
            optimizer.zero_grad()
            layer(x)[0].square().sum().backward()
            optimizer.step()
    for (name, p), q in zip(layers[0].named_parameters(), layers[1].parameters(), strict=True):
        assert_same(p.detach(), q.detach(), name)


@pytest.mark.parametrize("cell", CELLS.values(), ids=str)
def test_no_two_gradients_share_memory(cell):
    case = random_case(cell, population=None, units=16, inputs=16)
    tensors = [t.requires_grad_() for t in case.tensors().values()]
    case.run("cpu").output.sum().backward()
    spans = sorted((t.grad.data_ptr(), t.grad.data_ptr() + t.grad.nbytes) for t in tensors)
    for (_, end), (begin, _) in itertools.pairwise(spans):
        assert end <= begin


def test_one_parameter_as_both_biases_gets_both_gradients():
    case = random_case(CELLS["lstm"], population=None)
    apart = everything(case, "cpu")
    bias = case.weights.bias_ih.detach().clone().requires_grad_()
    case.weights.bias_hh.copy_(case.weights.bias_ih)
    apart = everything(case, "cpu")
    tied = replace(case, weights=case.weights._replace(bias_ih=bias, bias_hh=bias))
    generator = torch.Generator().manual_seed(1)
    for graph in (False, True):
        result = tied.run("cpu")
        outputs = [result.output, *result.state]
        generator.manual_seed(1)
        cotangents = [torch.randn(t.shape, generator=generator, dtype=torch.float64) for t in outputs]
        (gradient,) = torch.autograd.grad(outputs, bias, cotangents, create_graph=graph)
        assert_same(gradient.detach(), apart["gradient of bias_ih"] + apart["gradient of bias_hh"])


def test_results_belong_to_the_caller():
    case = random_case(CELLS["lstm"], population=None)
    case.x.requires_grad_()
    result = case.run("cpu")
    expected = torch.autograd.grad(case.run("cpu").output.sum(), case.x)[0]
    for tensor in (*result.state, result.output):
        tensor.mul_(2)
    assert_same(torch.autograd.grad(result.output.sum(), case.x)[0], 2 * expected)


def test_the_graph_of_a_scan_goes_with_its_output():
    """No cycle keeps the buffers alive until the garbage collector comes round."""
    import gc
    import weakref

    case = random_case(CELLS["lstm"], population=None)
    case.x.requires_grad_()
    gc.disable()
    try:
        output = case.run("cpu").output
        node = weakref.ref(output.grad_fn)
        del output
        assert node() is None
    finally:
        gc.enable()


def test_lengths_changed_after_the_call_change_nothing():
    case = random_case(CELLS["gru"], steps=4, batch=3)
    lengths = torch.tensor([4, 2, 0])
    case = replace(case, lengths=lengths)
    case.weights.weight_ih.requires_grad_()
    expected = torch.autograd.grad(case.run("cpu").output.sum(), case.weights.weight_ih)[0]
    output = case.run("cpu").output
    lengths.fill_(3)
    gradient = torch.autograd.grad(output.sum(), case.weights.weight_ih, create_graph=True)[0]
    assert_same(gradient.detach(), expected)


def test_a_default_device_does_not_reach_the_kernels():
    case = random_case(CELLS["lstm"], lengths="shared")
    expected = everything(case, "cpu")["output"]
    with torch.device("meta"):
        assert_same(copy.copy(case).run("cpu").output, expected)
