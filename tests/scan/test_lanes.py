"""The vector functions against float64, over the whole range and at the ends of it."""

from __future__ import annotations

import ctypes

import numpy as np
import pytest
from numba import cfunc, types

from ostinato.derive.adjoint import RULES
from ostinato.derive.numba_source import NUMBA
from ostinato.derive.reference import TORCH
from ostinato.expr import OPERATIONS
from ostinato.scan import lanes, simd
from ostinato.scan.simd import load, store, width

EXACT = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "relu": lambda x: np.where(np.isnan(x), x, np.maximum(x, 0)),
    "exp": np.exp,
    "log": np.log,
    "softplus": lambda x: np.logaddexp(0, x),
    "sqrt": np.sqrt,
    "absolute": np.abs,
    "maximum": np.maximum,
    "minimum": np.minimum,
    "compare": lambda a, b: (a > b) * 1.0 - (a < b) * 1.0,
}
#: Units in the last place. tanh is a quotient of polynomials, the others round a few times.
ULP = 5
#: Below this a float32 number is subnormal and has fewer digits.
SMALLEST = {np.float32: 1.2e-38, np.float64: 2.3e-308}


def compiled(name: str, dtype: type):
    """A C function (a, b, out, n) that applies one vector function."""
    function, pointer = getattr(simd, name), types.CPointer(getattr(types, dtype.__name__))
    if lanes.FUNCTIONS[name].__code__.co_argcount == 2:

        def body(a, b, out, n):
            for at in range(0, n, width(a)):
                count = min(width(a), n - at)
                store(out, at, count, function(load(a, at, count), load(b, at, count)))

    else:

        def body(a, b, out, n):
            for at in range(0, n, width(a)):
                count = min(width(a), n - at)
                store(out, at, count, function(load(a, at, count)))

    return cfunc(types.void(pointer, pointer, pointer, types.intp))(body).ctypes


def numbers(dtype: type) -> np.ndarray:
    ends = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-40, 3e38, -3e38, 88.5, 88.72, 88.8, -87.5, -103.0, 20.0, -20.0]
    return np.concatenate([np.linspace(-110, 110, 20011), np.linspace(-1, 1, 4001), ends]).astype(dtype)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", EXACT)
def test_a_vector_function_is_exact_to_a_few_units_in_the_last_place(name, dtype):
    a = numbers(dtype)
    b = np.roll(a, 7)
    out = np.full(a.size + 3, 7, dtype)
    pointer = ctypes.POINTER(np.ctypeslib.as_ctypes_type(dtype))
    compiled(name, dtype)(*(t.ctypes.data_as(pointer) for t in (a, b, out)), a.size)
    assert (out[a.size :] == 7).all(), "it wrote past the end"
    arguments = (a, b) if lanes.FUNCTIONS[name].__code__.co_argcount == 2 else (a,)
    with np.errstate(all="ignore"):
        expected = EXACT[name](*(t.astype(np.float64) for t in arguments))
        rounded = expected.astype(dtype)
        error = np.abs(out[: a.size] - expected) / np.maximum(np.spacing(np.abs(rounded)), SMALLEST[dtype])
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(out[: a.size][~finite], rounded[~finite])
    assert error[finite].max() <= ULP, f"{name}({a[finite][error[finite].argmax()]})"


@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_tanh_and_sigmoid_saturate_exactly(value):
    pointer = ctypes.POINTER(ctypes.c_float)
    for name in ("tanh", "sigmoid"):
        a, out = np.array([value], np.float32), np.zeros(1, np.float32)
        compiled(name, np.float32)(*(t.ctypes.data_as(pointer) for t in (a, a, out)), 1)
        assert out[0] == EXACT[name](value)


def test_every_table_covers_exactly_the_operations():
    for table in (RULES, TORCH, NUMBA):
        assert table.keys() == OPERATIONS.keys()
    called = {text.split("(")[0] for text in NUMBA.values() if "(" in text}
    assert called == lanes.FUNCTIONS.keys()
    assert all(hasattr(simd, name) for name in called)
