"""Random scans of any cell, and everything that comes out of one: output, final states and every gradient."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ostinato.cell import Cell
from ostinato.scan import Weights, scan


@dataclass(frozen=True)
class Case:
    """The arguments of one scan; tensors that are None are left out. With a table, x is ids."""

    cell: Cell
    x: Tensor
    weights: Weights
    state: tuple[Tensor, ...] | None = None
    lengths: Tensor | None = None
    reverse: bool = False
    table: Tensor | None = None

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor that has a gradient, by name."""
        named = {"x": self.x} if self.table is None else {"table": self.table}
        named |= {k: v for k, v in self.weights._asdict().items() if k != "vectors" and v is not None}
        named |= dict(zip(self.cell.vectors, self.weights.vectors, strict=True))
        return named | dict(zip((f"initial {s}" for s in self.cell.states), self.state or (), strict=False))

    def with_tensors(self, named: dict[str, Tensor]) -> Case:
        weights = Weights(
            named["weight_ih"],
            *(named.get(name) for name in ("weight_hh", "bias_ih", "bias_hh")),
            tuple(named[v] for v in self.cell.vectors),
        )
        state = tuple(named[f"initial {s}"] for s in self.cell.states) if self.state else None
        return replace(self, x=named.get("x", self.x), table=named.get("table"), weights=weights, state=state)

    def to(self, dtype: torch.dtype) -> Case:
        return self.with_tensors({name: tensor.detach().to(dtype) for name, tensor in self.tensors().items()})

    def run(self, backend: str):
        return scan(
            self.cell,
            self.x,
            self.weights,
            self.state,
            lengths=self.lengths,
            reverse=self.reverse,
            backend=backend,
            table=self.table,
        )


def random_case(
    cell: Cell,
    *,
    population: int | None = 1,
    steps: int = 3,
    batch: int = 3,
    inputs: int = 4,
    units: int = 5,
    dtype: torch.dtype = torch.float64,
    lengths: str = "none",
    reverse: bool = False,
    state: bool = True,
    bias: str = "both",
    shared: bool = False,
    table: int = 0,
    seed: int = 0,
) -> Case:
    """A scan of small random numbers. `lengths`: none, shared or own; `bias`: both, single or none.

    A population of None is a single network, without the axis. With a table of so many rows x is ids of them.
    """
    generator = torch.Generator().manual_seed(seed)
    lead = () if population is None else (population,)

    def draw(*shape: int, scale: float = 0.5) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=dtype) * scale

    gates, recurrent = len(cell.gates) * units, len(cell.recurrent_gates) * units
    weight_hh = {
        "dense": lambda: draw(*lead, recurrent, units, scale=0.5 / units**0.5),
        "diagonal": lambda: draw(*lead, recurrent),
        "none": lambda: None,
    }[cell.recurrence]()
    weights = Weights(
        draw(*lead, gates, inputs),
        weight_hh,
        draw(*lead, gates) if bias != "none" else None,
        draw(*lead, recurrent) if bias == "both" and weight_hh is not None else None,
        tuple(draw(*lead, units) for _ in cell.vectors),
    )
    lengths_shape = {"none": None, "shared": (batch,), "own": (*lead, batch)}[lengths]
    rows = (*((1,) if shared and lead else lead), steps, batch)
    return Case(
        cell,
        torch.randint(0, table, rows, generator=generator) if table else draw(*rows, inputs),
        weights,
        tuple(draw(*lead, batch, units) for _ in cell.states) if state else None,
        None if lengths_shape is None else torch.randint(0, steps + 1, lengths_shape, generator=generator),
        reverse,
        draw(*lead, table, inputs) if table else None,
    )


def everything(case: Case, backend: str, seed: int = 1) -> dict[str, Tensor]:
    """Output, final states and the gradient of every tensor under random cotangents, by name."""
    named = {name: tensor.detach().clone().requires_grad_() for name, tensor in case.tensors().items()}
    result = case.with_tensors(named).run(backend)
    assert result.backend == backend
    outputs = {"output": result.output} | {f"final {s}": t for s, t in zip(case.cell.states, result.state, strict=True)}
    generator = torch.Generator().manual_seed(seed)
    # Drawn in float64, so that a case has the same cotangents in every dtype.
    cotangents = [torch.randn(t.shape, generator=generator, dtype=torch.float64).to(t.dtype) for t in outputs.values()]
    pairs = [(t, c) for t, c in zip(outputs.values(), cotangents, strict=True) if t.requires_grad]  # not over 0 steps
    gradients = [None] * len(named)
    if pairs:
        roots, arriving = zip(*pairs, strict=True)
        gradients = torch.autograd.grad(roots, list(named.values()), arriving, allow_unused=True)
    found = {
        f"gradient of {name}": torch.zeros_like(tensor) if gradient is None else gradient
        for (name, tensor), gradient in zip(named.items(), gradients, strict=True)
    }
    return {name: t.detach() for name, t in outputs.items()} | found
