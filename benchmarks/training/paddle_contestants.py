"""One network in Paddle: with the layer of paddle.nn, and as a course writes it, gate by gate in a loop over time.

Import this in a process of its own: it brings Paddle's thread pool.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor

from ..contestants import PADDLES, Mode, import_paddle
from .task import CLASSES, DIGITS, LEARNING_RATE, SHAPE, Task

paddle = import_paddle()
nn, functional = paddle.nn, paddle.nn.functional


class CourseLSTM(nn.Layer):
    """Every gate with its own W [M, D], U [D, D] and b [D]: eight products a step."""

    GATES = "ifao"  # in the order of torch's matrices; a is the candidate

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        for gate in self.GATES:
            self.add_parameter(f"W_{gate}", self.create_parameter([input_size, hidden_size]))
            self.add_parameter(f"U_{gate}", self.create_parameter([hidden_size, hidden_size]))
            self.add_parameter(f"b_{gate}", self.create_parameter([hidden_size], is_bias=True))

    def forward(self, inputs: Any) -> Any:
        batch, steps, _ = inputs.shape
        H = C = paddle.zeros([batch, self.hidden_size])
        for t in range(steps):
            x = inputs[:, t, :]
            I = functional.sigmoid(paddle.matmul(x, self.W_i) + paddle.matmul(H, self.U_i) + self.b_i)  # noqa: E741
            F = functional.sigmoid(paddle.matmul(x, self.W_f) + paddle.matmul(H, self.U_f) + self.b_f)
            O = functional.sigmoid(paddle.matmul(x, self.W_o) + paddle.matmul(H, self.U_o) + self.b_o)  # noqa: E741
            A = functional.tanh(paddle.matmul(x, self.W_a) + paddle.matmul(H, self.U_a) + self.b_a)
            C = F * C + I * A
            H = O * functional.tanh(C)
        return H


class CourseSRN(nn.Layer):
    """H = tanh(x W + H U + b)."""

    GATES = "a"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.W_a = self.create_parameter([input_size, hidden_size])
        self.U_a = self.create_parameter([hidden_size, hidden_size])
        self.b_a = self.create_parameter([hidden_size], is_bias=True)

    def forward(self, inputs: Any) -> Any:
        batch, steps, _ = inputs.shape
        H = paddle.zeros([batch, self.hidden_size])
        for t in range(steps):
            H = functional.tanh(paddle.matmul(inputs[:, t, :], self.W_a) + paddle.matmul(H, self.U_a) + self.b_a)
        return H


class PaddleRecurrent(nn.Layer):
    """A layer of paddle.nn, of which the last output is taken. Its second bias is in no equation and stays zero."""

    def __init__(self, kind: str, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.layer = getattr(nn, PADDLES[kind])(input_size, hidden_size)
        self.layer.bias_hh_l0.set_value(paddle.zeros_like(self.layer.bias_hh_l0))

    def forward(self, inputs: Any) -> Any:
        return self.layer(inputs)[0][:, -1, :]


COURSE = {"LSTM": CourseLSTM, "SRN": CourseSRN}


class PaddleTrainer:
    """The one network of a task, with Paddle's Adam.

    Args:
        recurrent: takes [B, T, M], gives [B, D].
        weights: those of its parameters that learn, by their name in a `SequenceClassifier`: one, or one a gate.
        turned: names of matrices that are [N, M] in torch and [M, N] here.
    """

    def __init__(self, name: str, recurrent: Any, weights: dict[str, list[Any]], turned: set[str], task: Task) -> None:
        self.name, self.networks = name, 1
        embedding, linear = nn.Embedding(DIGITS, SHAPE.inputs), nn.Linear(SHAPE.units, CLASSES)
        ends = {"embedding.weight": [embedding.weight], "linear.weight": [linear.weight], "linear.bias": [linear.bias]}
        self.model = nn.Sequential(embedding, recurrent, linear)
        self.weights, self.turned = weights | ends, turned | {"linear.weight"}
        for key, parameters in self.weights.items():
            for parameter, part in zip(parameters, task.weights[key][0].chunk(len(parameters)), strict=True):
                parameter.set_value(self._turn(key, part).contiguous().numpy())
        learning = list(itertools.chain(*self.weights.values()))
        self.optimizer = paddle.optimizer.Adam(LEARNING_RATE, parameters=learning)
        batches = zip(task.digits[:, 0].unbind(), task.labels[:, 0].unbind(), strict=True)
        self.batches = itertools.cycle([tuple(paddle.to_tensor(t.numpy()) for t in batch) for batch in batches])

    def run(self, mode: Mode) -> None:
        digits, labels = next(self.batches)
        self.loss = functional.cross_entropy(self.model(digits), labels)
        self.loss.backward()
        self.optimizer.step()
        self.model.clear_gradients()

    def clear(self) -> None:
        pass

    def figures(self) -> dict[str, Tensor]:
        found = {"loss": torch.tensor(self.loss.numpy()).view(1)}
        for key, parameters in self.weights.items():
            parts = [self._turn(key, torch.tensor(parameter.numpy())) for parameter in parameters]
            found[key] = torch.cat(parts).unsqueeze(0)
        return found

    def _turn(self, key: str, tensor: Tensor) -> Tensor:
        return tensor.mT if key in self.turned else tensor


NAMES = {"W": "recurrent.weight_ih_l0", "U": "recurrent.weight_hh_l0", "b": "recurrent.bias_ih_l0"}


def paddle_trainer(task: Task) -> PaddleTrainer:
    """With the layer of paddle.nn, whose parameters have torch's names and shapes."""
    recurrent = PaddleRecurrent(task.kind, SHAPE.inputs, SHAPE.units)
    weights = {name: [getattr(recurrent.layer, name.removeprefix("recurrent."))] for name in NAMES.values()}
    return PaddleTrainer("paddle.nn", recurrent, weights, set(), task)


def course_trainer(task: Task) -> PaddleTrainer:
    """With the course's own layer."""
    recurrent = COURSE[task.kind](SHAPE.inputs, SHAPE.units)
    weights = {
        name: [getattr(recurrent, f"{letter}_{gate}") for gate in recurrent.GATES] for letter, name in NAMES.items()
    }
    return PaddleTrainer("course's own", recurrent, weights, {NAMES["W"], NAMES["U"]}, task)
