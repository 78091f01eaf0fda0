"""A population in JAX, as written by hand: `vmap` of one network's training step, compiled as one program.

JAX itself is imported by `JaxTrainer`, in a process of its own and after `limit`: it reads its settings once.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..contestants import Mode
from .task import LEARNING_RATE, Task

#: Steps of the scan that are written out as one: the fastest of 1, 2, 5 and 20.
UNROLL = {"LSTM": 1, "SRN": 2}


def has_jax() -> bool:
    """Whether JAX is installed; it is not imported."""
    return importlib.util.find_spec("jax") is not None


def limit(threads: int) -> None:
    """Let JAX, which is not imported yet, have so many threads, and show as many devices of one thread each."""
    os.environ["NPROC"] = str(threads)
    os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={threads}"
    os.environ["JAX_PLATFORMS"] = "cpu"


class JaxTrainer:
    """All networks of a task in one jitted step, whose state is donated.

    Args:
        devices: with several, each has its share of the networks: on one, XLA leaves all but one core idle here.

    What was tried on this step and is no faster: one product [x, h] @ [W; U] a step of the scan, one-hot vectors in
    place of the look-up, longer unrolling.
    """

    def __init__(self, task: Task, devices: int = 1) -> None:
        import jax
        import jax.numpy as jnp
        from jax.sharding import Mesh, NamedSharding, PartitionSpec

        self.jax = jax
        self.networks = task.networks
        self.name = "JAX" if devices == 1 else f"JAX, {devices} devices"
        mesh = Mesh(jax.devices()[:devices], ("network",))
        by_network, shared = PartitionSpec("network"), PartitionSpec()

        def put(tensor: Tensor) -> Any:
            return jax.device_put(tensor.numpy(), NamedSharding(mesh, by_network))

        weights = {name: put(tensor) for name, tensor in _transposed(task.weights).items()}
        zeros = {name: put(torch.zeros(value.shape)) for name, value in weights.items()}
        moments = zeros, jax.tree.map(jnp.copy, zeros)
        self.state = weights, *moments, jax.device_put(0.0, NamedSharding(mesh, shared))
        batches = zip(task.digits.int().unbind(), task.labels.int().unbind(), strict=True)
        self.batches = itertools.cycle([(put(digits), put(labels)) for digits, labels in batches])
        axes = (0, 0, 0, None), 0, 0
        step = jax.vmap(training_step(task.kind), in_axes=axes, out_axes=(axes[0], 0))
        if devices > 1:
            specs = (by_network, by_network, by_network, shared), by_network, by_network
            step = jax.shard_map(step, mesh=mesh, in_specs=specs, out_specs=(specs[0], by_network), check_vma=False)
        self.step = jax.jit(step, donate_argnums=0)

    def run(self, mode: Mode) -> None:
        self.state, self.losses = self.step(self.state, *next(self.batches))
        self.jax.block_until_ready((self.state, self.losses))

    def clear(self) -> None:
        pass

    def figures(self) -> dict[str, Tensor]:
        import numpy as np

        def copied(array: Any) -> Tensor:  # the array itself is given to the next step
            return torch.from_numpy(np.array(array))

        weights = {name: copied(value) for name, value in self.state[0].items()}
        return {"loss": copied(self.losses)} | _transposed(weights)


def _transposed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Torch's matrices [P, N, M] as x @ W wants them [P, M, N], and back."""
    return {name: w.mT if w.dim() == 3 and name != "embedding.weight" else w for name, w in weights.items()}


def training_step(kind: str) -> Callable[..., Any]:
    """One network's: state and batch to the next state and the loss."""
    import jax
    import jax.numpy as jnp

    def loss(weights: dict[str, Any], digits: Any, labels: Any) -> Any:
        def step(state: Any, products: Any) -> tuple[Any, None]:
            h, c = state
            gates = products + h @ weights["recurrent.weight_hh_l0"]
            if kind == "SRN":
                return (jnp.tanh(gates), c), None
            i, f, g, o = jnp.split(gates, 4, axis=-1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        x = weights["embedding.weight"][digits.T]
        products = x @ weights["recurrent.weight_ih_l0"] + weights["recurrent.bias_ih_l0"]
        zeros = jnp.zeros((len(digits), len(weights["recurrent.weight_hh_l0"])))
        (h, _), _ = jax.lax.scan(step, (zeros, zeros), products, unroll=UNROLL[kind])
        logs = jax.nn.log_softmax(h @ weights["linear.weight"] + weights["linear.bias"])
        return -jnp.take_along_axis(logs, labels[:, None], axis=1).mean()

    def train(state: Any, digits: Any, labels: Any) -> tuple[Any, Any]:
        weights, means, squares, steps = state
        value, gradients = jax.value_and_grad(loss)(weights, digits, labels)
        steps = steps + 1
        means = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, means, gradients)
        squares = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, gradients)
        rate, root = LEARNING_RATE / (1 - 0.9**steps), jnp.sqrt(1 - 0.999**steps)
        weights = jax.tree.map(lambda w, m, v: w - rate * m / (jnp.sqrt(v) / root + 1e-8), weights, means, squares)
        return (weights, means, squares, steps), value

    return train
