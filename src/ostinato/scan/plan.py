"""What a scan on the CPU needs to know before it runs: sizes, row strides, and how the work is cut into tasks."""

from __future__ import annotations

import functools

import torch

from ..cell import Cell
from ..derive.numba_source import pointwise, saved
from .compile import cell_function, kernel, matmul_function
from .contract import Problem, Sizes
from .kernels import BLOCK_COLUMNS
from .lanes import BYTES, WIDTHS
from .rows import Rows, pack
from .threads import run

DTYPES = {torch.float32: "float32", torch.float64: "float64"}

_MOST_SLICE_ROWS = 64

# One vector of zeros for the kernels to begin sums with.
_ZEROS = {dtype: torch.zeros(BYTES // dtype.itemsize, dtype=dtype, device="cpu") for dtype in DTYPES}


class Blocks:
    """A cell as the kernels see it: its slots as blocks of D columns, and what is kept for backward.

    Attributes:
        cell: the cell in its pointwise form.
        from_x, from_h: how many blocks x and h feed; the first of h stands behind `before_h` others.
        order_x, order_h: the gates in the order of those blocks; None where that is the order of the weights.
        diagonal: the gates that a diagonal recurrence feeds.
        kept: how many states are kept.
    """

    def __init__(self, cell: Cell) -> None:
        slots, gates, recurrent = cell.slots, cell.gates, cell.recurrent_gates
        dense = cell.recurrence == "dense"
        self.cell = pointwise(cell)
        self.own_vectors = len(cell.vectors)
        self.vectors = len(self.cell.vectors)
        self.states = len(cell.states)
        self.slots = len(slots)
        self.from_x = len(gates)
        self.from_h = len(recurrent) if dense else 0
        self.before_h = sum(not slot.from_h for slot in slots) if dense else 0
        self.order_x = _order([gates.index(slot.gate) for slot in slots if slot.from_x])
        self.order_h = _order([recurrent.index(slot.gate) for slot in slots if slot.from_h])
        self.diagonal = [gates.index(gate) for gate in recurrent] if cell.recurrence == "diagonal" else []
        self.kept = len(saved(self.cell).states)


def _order(order: list[int]) -> list[int] | None:
    return None if order == sorted(order) else order


blocks_of = functools.cache(Blocks)


class Plan:
    """One scan. Sizes are in numbers, not bytes."""

    def __init__(self, problem: Problem, threads: int) -> None:
        self.cell, self.sizes, self.lengths = problem.cell, problem.sizes, problem.lengths
        self.reverse, self.single = problem.reverse, problem.single
        self.blocks = blocks = blocks_of(problem.cell)
        self.dtype = problem.dtype
        self.kind = DTYPES[self.dtype]
        sizes = self.sizes
        units = sizes.units
        self.rows: Rows = pack(self.lengths, sizes.population, sizes.steps, sizes.batch)
        self.x_columns, self.h_columns = blocks.from_x * units, blocks.from_h * units
        self.h_first = blocks.before_h * units
        self.slots_row = self.apart(max(self.x_columns, self.h_first + self.whole(self.h_columns)))
        self.state_row = self.apart(units)
        # Sorted by length, the first slices are the longest: several a thread leave no thread idle at the end.
        wanted = -(-threads * (1 if self.lengths is None else 4) // sizes.population)
        self.slice_rows = max(1, min(_MOST_SLICE_ROWS, -(-sizes.batch // wanted)))
        self.slices = -(-sizes.batch // self.slice_rows)
        self.tasks = sizes.population * self.slices
        #: Multiplications of one pass over the sequence.
        x_rows = sizes.population * sizes.table_rows if sizes.table_rows else self.rows.count
        self.work = x_rows * self.x_columns * sizes.inputs + self.rows.count * self.h_columns * units
        self.blocks_of_weights = sizes.population * (
            -(-self.x_columns // BLOCK_COLUMNS) + -(-self.h_columns // BLOCK_COLUMNS)
        )
        self.no_gradient = torch.zeros(self.slice_rows * units, dtype=self.dtype, device="cpu")
        self._fixed = self._fixed_arguments()
        self._templates: dict[str, bytes] = {}

    def whole(self, columns: int) -> int:
        """`columns`, rounded up to whole vectors."""
        lanes = WIDTHS[self.kind]
        return -(-columns // lanes) * lanes

    def apart(self, columns: int) -> int:
        """A row of at least so many columns; rows a multiple of 1 KiB apart would share the sets of a cache."""
        columns = self.whole(columns)
        return columns + WIDTHS[self.kind] if columns * self.dtype.itemsize % 1024 == 0 else columns

    def launch(self, name: str, pointwise: str, work: int, arguments: dict[str, int]) -> None:
        """Run the kernel `name` with a pointwise function of the cell and the arguments that the plan does not know."""
        which = kernel(name, self.kind)
        template = self._templates.get(pointwise)
        if template is None:
            fixed = self._fixed | {"cell_function": cell_function(self.blocks.cell, pointwise, self.kind).address}
            template = bytes(which.block(*[fixed.get(parameter, 0) for parameter in which.position]))
            self._templates[pointwise] = template
        block = which.block.from_buffer_copy(template)
        for parameter, value in arguments.items():
            block[which.position[parameter]] = value
        run(which, block, max(self.tasks, self.blocks_of_weights), work)

    def _fixed_arguments(self) -> dict[str, int]:
        """The arguments that depend on nothing but the plan."""
        sizes = self.sizes
        return {
            "tasks": self.tasks,
            "population": sizes.population,
            "slices": self.slices,
            "slice_rows": self.slice_rows,
            "steps": sizes.steps,
            "batch": sizes.batch,
            "inputs": sizes.inputs,
            "units": sizes.units,
            "x_columns": self.x_columns,
            "h_columns": self.h_columns,
            "h_first": self.h_first,
            "slots_row": self.slots_row,
            "state_row": self.state_row,
            "state_count": self.blocks.states,
            "vector_count": self.blocks.vectors,
            "kept_plane": self.rows.count * sizes.units,
            "reverse": self.reverse,
            "table_rows": sizes.table_rows,
            "x_shared": sizes.networks_of_x < sizes.population and self.rows.shared,
            "offsets": self.rows.offsets.data_ptr(),
            "zeros": _ZEROS[self.dtype].data_ptr(),
            "matmul": matmul_function(self.kind).address,
        }


def plan(problem: Problem) -> Plan:
    """The plan of a scan; sequences of equal length have a plan that depends on the sizes alone and is kept."""
    threads = torch.get_num_threads()
    if problem.lengths is not None:
        return Plan(problem, threads)
    key = (problem.cell, problem.sizes, problem.dtype, problem.reverse, problem.single, threads)
    found = _plans.get(key)
    if found is None:
        if len(_plans) >= _MOST_PLANS:
            _plans.clear()
        found = _plans[key] = Plan(problem, threads)
    return found


_plans: dict[tuple[Cell, Sizes, torch.dtype, bool, bool, int], Plan] = {}
_MOST_PLANS = 256
