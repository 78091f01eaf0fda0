"""From a cell to machine code: compiled on first use, cached on disk across processes."""

from __future__ import annotations

import atexit
import ctypes
import functools
import hashlib
import importlib.util
import inspect
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numba
from numba import cfunc
from numba.core import types

from ..cell import Cell
from ..derive.numba_source import kernel_source
from . import kernels, tile

_OPTIONS = {"boundscheck": False, "error_model": "numpy"}

Compiled = TypeVar("Compiled")

_compiling = threading.RLock()  # two threads that want the same kernel compile it once


def _new_lock() -> None:
    """A child process inherits a lock as it was; whoever held it is not there any more."""
    global _compiling
    _compiling = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_new_lock)


def _once(compile: Callable[..., Compiled]) -> Callable[..., Compiled]:
    """Like functools.cache, but of several threads that ask at once only one compiles."""
    found: dict[tuple, Compiled] = {}

    @functools.wraps(compile)
    def ask(*key: Any) -> Compiled:
        result = found.get(key)
        if result is None:
            with _compiling:
                if key not in found:
                    found[key] = compile(*key)
                result = found[key]
        return result

    return ask


class Kernel:
    """A compiled kernel: a C function of one pointer, to its arguments as 64-bit numbers."""

    def __init__(self, compiled: Any, parameters: list[str]) -> None:
        self.compiled = compiled  # machine code lives as long as the object that holds it
        self.address: int = compiled.address
        self.position = {parameter: k for k, parameter in enumerate(parameters)}
        self.call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address)
        self.block = ctypes.c_int64 * len(parameters)


@_once
def kernel(name: str, dtype: str) -> Kernel:
    """The kernel `name` of `kernels` for float32 or float64."""
    parameters = list(inspect.signature(getattr(kernels, name)).parameters)[:-1]
    arguments = ", ".join(f"a[{k}]" for k in range(len(parameters)))
    source = (
        "import numpy as np\nfrom numba import njit\nfrom ostinato.scan import kernels\n\n"
        f"{name} = njit(kernels.{name})\n\n\n"
        f"def entry(a):\n    {name}({arguments}, np.{dtype}(0))\n"
    )
    signature = types.void(types.CPointer(types.intp))
    return Kernel(_compile(f"{name}_{dtype}", source, "entry", signature), parameters)


@_once
def matmul_function(dtype: str) -> Any:
    """`tile.matmul`, compiled once and called by every kernel; its `address` is what they call."""
    number, pointer = types.intp, types.CPointer(getattr(types, dtype))
    arguments = "a, a_row, a_k, panels, count, start, start_row, start_panel, out, out_row, rows, length"
    kinds = [pointer if name in ("a", "panels", "start", "out") else number for name in arguments.split(", ")]
    source = f"from ostinato.scan.tile import matmul\n\n\ndef entry({arguments}):\n    matmul({arguments})\n"
    return _compile(f"matmul_{dtype}", source, "entry", types.void(*kinds))


@_once
def cell_function(cell: Cell, name: str, dtype: str) -> Any:
    """`forward`, `inference` or `backward` of a cell's pointwise work; its `address` is what the kernels call."""
    pointers = {"forward": 5, "inference": 5, "backward": 6}[name]
    signature = types.void(*[types.CPointer(getattr(types, dtype))] * pointers, *[types.intp] * 6)
    return _compile(cell.name, kernel_source(cell), name, signature)


def _compile(name: str, source: str, function: str, signature: Any) -> Any:
    with _Notice():
        return cfunc(signature, cache=True, **_OPTIONS)(getattr(_module(name, source), function))


@_once
def _module(name: str, source: str) -> ModuleType:
    """Import `source` from a file of its own in the cache: Numba keeps the machine code beside it."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    file = _directory() / f"{name}_{digest}.py"
    if not file.exists():
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as temporary:
            temporary.write(source)
        os.chmod(temporary.name, 0o644)  # the cache may be shared
        os.replace(temporary.name, file)
    spec = importlib.util.spec_from_file_location(f"ostinato_kernel_{name}_{digest}", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # machine code read from the cache asks for its module by name
    spec.loader.exec_module(module)
    return module


def _cache_home() -> Path:
    """$OSTINATO_CACHE_DIR, else $XDG_CACHE_HOME/ostinato, else ~/.cache/ostinato. RuntimeError without a home."""
    chosen = os.environ.get("OSTINATO_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ostinato"


@_once
def _directory() -> Path:
    """Where this process keeps its kernels: the cache if it can be written to, else a folder that goes with it."""
    try:
        directory = _cache_home() / _version()
        (directory / "__pycache__").mkdir(parents=True, exist_ok=True)
        for folder in (directory, directory / "__pycache__"):
            with tempfile.TemporaryFile(dir=folder):
                pass
    except (OSError, RuntimeError):
        directory = Path(tempfile.mkdtemp(prefix="ostinato-"))
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def _version() -> str:
    """A digest of everything that compiled code depends on besides its own source."""
    sources = sorted(Path(tile.__file__).parent.glob("*.py"))
    text = "".join(source.read_text("utf-8") for source in sources)
    return hashlib.sha256(f"{numba.__version__} {sys.version} {text}".encode()).hexdigest()[:16]


class _Notice:
    """Says on stderr, once a process, that kernels are being compiled, if one takes more than a second."""

    said = False

    def __enter__(self) -> None:
        self.timer = threading.Timer(1.0, self.say)
        self.timer.daemon = True
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()

    @staticmethod
    def say() -> None:
        if not _Notice.said:
            _Notice.said = True
            print("ostinato: compiling kernels for this machine, which is done once", file=sys.stderr)
