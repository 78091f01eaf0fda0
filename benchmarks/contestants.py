"""Layers of several libraries behind one interface: the same input, the same weights, the same cotangent."""

from __future__ import annotations

import importlib.util
import warnings
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

import ostinato.nn

from .own_cell import EagerBounded, bounded
from .requirements import Shape

Mode = Literal["forward + backward", "inference", "training step"]

#: What a layer alone can do.
MODES: tuple[Mode, ...] = ("forward + backward", "inference")

OURS = {"LSTM": ostinato.nn.LSTM, "GRU": ostinato.nn.GRU, "SRN": ostinato.nn.SRN}
THEIRS = {"LSTM": nn.LSTM, "GRU": nn.GRU, "SRN": nn.RNN}
PADDLES = {"LSTM": "LSTM", "GRU": "GRU", "SRN": "SimpleRNN"}


class Task(NamedTuple):
    """What every contestant is given: x [T, B, M], and the gradient of the loss by the output [T, B, D]."""

    shape: Shape
    x: Tensor
    cotangent: Tensor


def make_task(shape: Shape) -> Task:
    """Random numbers from a fixed seed, which is left set: layers made next have the same weights every time."""
    torch.manual_seed(0)
    rows = shape.steps, shape.batch
    return Task(shape, torch.randn(*rows, shape.inputs), torch.randn(*rows, shape.units))


class Contestant(Protocol):
    """A layer with its task."""

    name: str

    def run(self, mode: Mode) -> None:
        """One call of the layer, what is timed; its results stay until `clear`."""
        ...

    def clear(self) -> None:
        """Drop results and gradients."""
        ...

    def figures(self) -> dict[str, Tensor]:
        """What the last run computed: output, final states and, unless it was inference, every gradient."""
        ...


class TorchLayer:
    """A module with the interface of torch.nn's recurrent layers."""

    def __init__(self, name: str, module: nn.Module, task: Task) -> None:
        self.name = name
        self.module = module
        self.x = task.x.detach().requires_grad_()
        self.cotangent = task.cotangent
        self.parameters = dict(module.named_parameters())
        self.results: tuple[Tensor, Any] | None = None

    def run(self, mode: Mode) -> None:
        if mode == "inference":
            with torch.no_grad():
                self.results = self.module(self.x)
        else:
            self.results = output, _ = self.module(self.x)
            output.backward(self.cotangent)

    def clear(self) -> None:
        self.results = self.x.grad = None
        for parameter in self.parameters.values():
            parameter.grad = None

    def figures(self) -> dict[str, Tensor]:
        assert self.results is not None
        output, final = self.results
        found = {"output": output.detach()} | _final_states(final)
        if self.x.grad is not None:
            gradients = {"x": self.x.grad} | self.gradients()
            found |= {f"gradient of {name}": gradient for name, gradient in gradients.items()}
        return found

    def gradients(self) -> dict[str, Tensor]:
        """Of the parameters, by name."""
        return {name: parameter.grad for name, parameter in self.parameters.items() if parameter.grad is not None}


class OurLayer(TorchLayer):
    """A layer of this library."""

    module: ostinato.nn.Recurrent


class EagerLayer(TorchLayer):
    """The user's cell as a loop, whose parameters come gate by gate."""

    module: EagerBounded

    def gradients(self) -> dict[str, Tensor]:
        return self.module.gradients()


def _final_states(final: Any) -> dict[str, Tensor]:
    states = final if isinstance(final, tuple | list) else (final,)
    return {f"final state {k}": state.detach() for k, state in enumerate(states)}


class PaddleLayer:
    """A recurrent layer of paddle.nn, whose gates come in torch's order."""

    def __init__(self, name: str, kind: str, weights: dict[str, Tensor], task: Task) -> None:
        self.name = name
        self.paddle = import_paddle()
        layer = getattr(self.paddle.nn, PADDLES[kind])
        self.layer = layer(task.shape.inputs, task.shape.units, time_major=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses the names of its cells, which are other names of the same
            self.layer.set_state_dict({key: self.paddle.to_tensor(value.numpy()) for key, value in weights.items()})
        self.parameters = {key: p for key, p in self.layer.named_parameters() if key in weights}
        self.x = self.paddle.to_tensor(task.x.numpy(), stop_gradient=False)
        self.cotangent = self.paddle.to_tensor(task.cotangent.numpy())
        self.results: Any = None

    def run(self, mode: Mode) -> None:
        if mode == "inference":
            with self.paddle.no_grad():
                self.results = self.layer(self.x)
        else:
            self.results = self.layer(self.x)
            self.results[0].backward(self.cotangent)

    def clear(self) -> None:
        self.results = None
        for tensor in (self.x, *self.parameters.values()):
            tensor.clear_gradient(False)  # not set to zero: dropped

    def figures(self) -> dict[str, Tensor]:
        output, final = self.results
        found = {"output": output} | _final_states(final)
        if self.x.grad is not None:
            gradients = {"x": self.x.grad} | {key: p.grad for key, p in self.parameters.items()}
            found |= {f"gradient of {key}": gradient for key, gradient in gradients.items()}
        return {key: torch.from_numpy(value.detach().numpy()) for key, value in found.items()}


def has_paddle() -> bool:
    """Whether Paddle is installed; it is not imported, since it brings a thread pool of its own."""
    return importlib.util.find_spec("paddle") is not None


def import_paddle() -> Any:
    """Paddle, without the warnings of its import."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import paddle  # pyright: ignore[reportMissingImports]
    return paddle


def our_layer(kind: str, task: Task) -> OurLayer:
    """A layer of ours, `kind` being LSTM, GRU or SRN."""
    return OurLayer("ostinato", OURS[kind](task.shape.inputs, task.shape.units), task)


def torch_layer(kind: str, like: TorchLayer, task: Task) -> TorchLayer:
    """The layer of torch.nn with the weights of another."""
    module = THEIRS[kind](task.shape.inputs, task.shape.units)
    module.load_state_dict(like.module.state_dict())
    return TorchLayer("torch.nn", module, task)


def paddle_layer(kind: str, like: TorchLayer, task: Task) -> PaddleLayer:
    """Paddle's layer with the weights of another."""
    return PaddleLayer("paddle.nn", kind, like.module.state_dict(), task)


def own_cell_layer(task: Task) -> OurLayer:
    """The cell of `own_cell` as a layer."""
    module = ostinato.nn.Recurrent(bounded, task.shape.inputs, task.shape.units, bias="single")
    return OurLayer("ostinato", module, task)


def eager_layer(like: TorchLayer, task: Task) -> EagerLayer:
    """The same cell as a loop, with the weights of the layer."""
    return EagerLayer("eager loop", EagerBounded(like.module.state_dict()), task)
