"""Weights and records on disk: safetensors and JSON, never pickle; a file is there whole or not at all."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import safetensors.torch
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError
from torch import nn

from ..errors import DataError
from ..files import write_atomically

Record = TypeVar("Record")


def save_weights(model: nn.Module, path: str | Path) -> None:
    """The state_dict of the model as a safetensors file."""
    tensors = {name: tensor.detach().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(path, safetensors.torch.save(tensors))


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Put the weights of a file into the model.

    Raises:
        DataError: no such file, not a safetensors file, or weights of another model.
    """
    try:
        model.load_state_dict(safetensors.torch.load(_read(path)))
    except SafetensorError as error:
        raise DataError(f"{path} is not a safetensors file: {error}") from None
    except RuntimeError as error:
        raise DataError(f"{path} holds the weights of another model: {' '.join(str(error).split())}") from None


def write_record(record: Any, path: str | Path) -> None:
    """A dataclass as JSON; what is not a finite number is written as Python's json does: NaN, Infinity."""
    write_atomically(path, json.dumps(asdict(record)).encode())


def read_record(kind: type[Record], path: str | Path) -> Record:
    """The dataclass that `write_record` wrote.

    Raises:
        DataError: no such file, or its content is not a record of this kind.
    """
    content = _read(path)
    try:
        return TypeAdapter(kind).validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(f"{path} is not a {kind.__name__}: {where}{': ' if where else ''}{first['msg']}") from None


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from None
