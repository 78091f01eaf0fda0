"""From a cell to machine code: compiled on first use, cached on disk across processes."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.util
import inspect
import os
import sys
import tempfile
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
from numba import cfunc
from numba.core import types

from ..cell import Cell
from ..derive.numba_source import kernel_source
from . import kernels, tile

_OPTIONS = {"boundscheck": False, "error_model": "numpy"}
_compiling = threading.RLock()  # two threads that want the same kernel compile it once


def cache_directory() -> Path:
    """Where compiled kernels are kept: $OSTINATO_CACHE_DIR, else $XDG_CACHE_HOME/ostinato, else ~/.cache/ostinato."""
    chosen = os.environ.get("OSTINATO_CACHE_DIR")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ostinato"


@functools.cache
def _version() -> str:
    """A digest of everything that compiled code depends on besides its own source."""
    sources = sorted(Path(kernels.__file__).parent.glob("*.py"))
    text = "".join(source.read_text("utf-8") for source in sources)
    return hashlib.sha256(f"{numba.__version__} {sys.version} {text}".encode()).hexdigest()[:16]


class Kernel:
    """A compiled kernel: a C function of one pointer, to its arguments as 64-bit numbers."""

    def __init__(self, name: str, compiled: Any, parameters: tuple[str, ...]) -> None:
        self.name = name
        self.compiled = compiled  # machine code lives as long as the object that holds it
        self.address: int = compiled.address
        self.position = {parameter: k for k, parameter in enumerate(parameters)}
        self.call = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(self.address)
        self.block = ctypes.c_int64 * len(parameters)


@functools.cache
def kernel(name: str, dtype: str) -> Kernel:
    """The kernel `name` of `kernels` for float32 or float64."""
    parameters = tuple(inspect.signature(getattr(kernels, name)).parameters)[:-1]
    arguments = ", ".join(f"a[{k}]" for k in range(len(parameters)))
    source = (
        "import numpy as np\nfrom numba import njit\nfrom ostinato.scan import kernels\n\n"
        f"{name} = njit(kernels.{name})\n\n\n"
        f"def entry(a):\n    {name}({arguments}, np.{dtype}(0))\n"
    )
    with _compiling, _Notice(f"the {name} loop ({dtype})"):
        entry = _module(f"{name}_{dtype}", source).entry
        compiled = cfunc(types.void(types.CPointer(types.intp)), cache=True, **_OPTIONS)(entry)
    return Kernel(name, compiled, parameters)


@functools.cache
def matmul_function(dtype: str) -> int:
    """The address of `tile.matmul`: compiled once, called by every kernel."""
    number, pointer = types.intp, types.CPointer(getattr(types, dtype))
    signature = types.void(
        pointer, number, number, pointer, number, pointer, number, number, pointer, number, number, number
    )
    arguments = ", ".join(inspect.signature(_python(tile.matmul)).parameters)
    source = f"from ostinato.scan.tile import matmul\n\n\ndef entry({arguments}):\n    matmul({arguments})\n"
    with _compiling, _Notice(f"the matrix product ({dtype})"):
        compiled = cfunc(signature, cache=True, **_OPTIONS)(_module(f"matmul_{dtype}", source).entry)
    return _keep(compiled)


@functools.cache
def cell_function(cell: Cell, name: str, dtype: str) -> int:
    """The address of `forward`, `inference` or `backward` of a cell's pointwise work."""
    pointers = {"forward": 5, "inference": 5, "backward": 6}[name]
    with _compiling, _Notice(f"{name} of the cell {cell} ({dtype})"):
        function = getattr(_cell_module(cell), name)
        signature = types.void(*[types.CPointer(getattr(types, dtype))] * pointers, *[types.intp] * 6)
        compiled = cfunc(signature, cache=True, **_OPTIONS)(function)
    return _keep(compiled)


_functions: list[Any] = []  # machine code lives as long as the object that holds it


def _python(function: Any) -> Any:
    return function.py_func


def _keep(compiled: Any) -> int:
    _functions.append(compiled)
    return compiled.address


@functools.cache
def _cell_module(cell: Cell) -> ModuleType:
    return _module(cell.name, kernel_source(cell))


def _module(name: str, source: str) -> ModuleType:
    """Import `source` from a file of its own in the cache: Numba keeps the machine code beside it."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:16]
    file = cache_directory() / _version() / f"{name}_{digest}.py"
    try:
        _write_once(file, source)
    except OSError:
        file = Path(tempfile.mkdtemp(prefix="ostinato-")) / file.name
        _write_once(file, source)
    spec = importlib.util.spec_from_file_location(f"ostinato_kernel_{name}_{digest}", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # machine code read from the cache asks for its module by name
    spec.loader.exec_module(module)
    return module


def _write_once(file: Path, source: str) -> None:
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=file.parent, delete=False, encoding="utf-8") as temporary:
            temporary.write(source)
        os.replace(temporary.name, file)


class _Notice:
    """Says on stderr, once a process, that kernels are being compiled, if that takes more than a second."""

    said = False

    def __init__(self, what: str) -> None:
        self.what = what

    def __enter__(self) -> None:
        self.timer = threading.Timer(1.0, self.say)
        self.timer.daemon = True
        self.timer.start()

    def __exit__(self, *_: object) -> None:
        self.timer.cancel()

    def say(self) -> None:
        if not _Notice.said:
            _Notice.said = True
            print(f"ostinato: compiling {self.what} for this machine, once; kept for later runs", file=sys.stderr)
