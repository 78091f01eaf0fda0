"""A cell: one step of a recurrence, as frozen data that checks itself when it is made."""

from __future__ import annotations

import inspect
import keyword
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn

from .errors import DefinitionError
from .expr import OPERATIONS, Expr, topological, variable

Recurrence = Literal["dense", "diagonal", "none"]
GateKind = Literal["sum", "split", "input"]


@dataclass(frozen=True)
class Gate:
    """A pre-activation. `sum`: W x + U h + b as one value; `split`: both parts apart; `input`: W x + b alone."""

    name: str
    kind: GateKind


@dataclass(frozen=True)
class Slot:
    """One column block of pre-activations as a kernel stores it: what feeds it, and the variable it stands for."""

    gate: Gate
    variable: Expr
    from_x: bool
    from_h: bool

    @property
    def name(self) -> str:
        return self.variable.name


class SplitGate:
    """What a definition sees of a split gate: `n.x` is W x + b_ih, `n.h` is U h + b_hh."""

    def __init__(self, name: str) -> None:
        self.x = variable(f"{name}_x")
        self.h = variable(f"{name}_h")
        self._name = name

    def __repr__(self) -> str:
        return f"gate '{self._name}' is split: use {self._name}.x and {self._name}.h"

    def _refuse(self, *_: object) -> NoReturn:
        raise TypeError(repr(self))

    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = __neg__ = _refuse


@dataclass(frozen=True)
class Cell:
    """A recurrence h_t, ... = body(gates, states, vectors). Make one with the decorator `cell`.

    Attributes:
        name: the name of the defining function.
        doc: its docstring.
        gates: the gates in the order of their rows in `weight_ih` (and `weight_hh`).
        states: names of the states; the first is the output.
        vectors: names of extra learned vectors, one number a unit (peepholes).
        recurrence: what `weight_hh` is: "dense" [G*D, D], "diagonal" [G*D] or "none".
        next_states: the new states, as expressions of the variables of `slots`, `states` and `vectors`.
    """

    name: str
    doc: str
    gates: tuple[Gate, ...]
    states: tuple[str, ...]
    vectors: tuple[str, ...]
    recurrence: Recurrence
    next_states: tuple[Expr, ...] = field(repr=False)

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Column blocks of pre-activations: those of x alone, then of both, then of h alone.

        In this order the blocks fed by x are adjacent, and so are those fed by h: each is one matrix product.
        """
        slots = []
        for gate in self.gates:
            if gate.kind == "split":
                split = SplitGate(gate.name)
                slots += [Slot(gate, split.x, True, False), Slot(gate, split.h, False, True)]
            else:
                slots.append(Slot(gate, variable(gate.name), True, gate.kind == "sum" and self.recurrence == "dense"))
        return tuple(sorted(slots, key=lambda s: (not s.from_x, s.from_h)))

    @property
    def recurrent_gates(self) -> tuple[Gate, ...]:
        """The gates that the previous output feeds, in the order of their rows in `weight_hh`."""
        return tuple(g for g in self.gates if g.kind != "input")

    def __hash__(self) -> int:
        return hash((self.name, self.next_states))  # enough to tell cells apart, and asked for at every scan

    def __str__(self) -> str:
        return self.name


def cell(
    *,
    gates: str,
    state: str,
    vectors: str = "",
    split: str = "",
    input_only: str = "",
    recurrence: Recurrence = "dense",
) -> Callable[[Callable[..., Any]], Cell]:
    """Decorate a function of gates, states and vectors: its body, traced once, becomes a `Cell`.

    Args:
        gates: names of the gates, blanks between them, in the order of their rows in the weights.
        state: names of the states; the first is the output of the cell.
        vectors: names of extra learned vectors of D numbers.
        split: the gates that the body takes apart as `g.x` (W x + b_ih) and `g.h` (U h + b_hh).
        input_only: the gates that x alone feeds.
        recurrence: "dense" (U is D x D a gate), "diagonal" (U is D numbers a gate) or "none" (no U at all).

    The function takes every gate, state and vector by name and returns the new states in the order of `state`.
    A gate argument is its pre-activation W x_t + U h_{t-1} + b.

    Raises:
        DefinitionError: the definition is malformed; the message names the cell, the argument and the line.

    Example:
        >>> from ostinato.expr import sigmoid, tanh
        >>> @cell(gates="f g", state="h")
        ... def mgu(f, g, h):
        ...     "A gated unit with one gate."
        ...     return (1 - sigmoid(f)) * h + sigmoid(f) * tanh(g)
        >>> mgu.states
        ('h',)
    """

    def decorate(function: Callable[..., Any]) -> Cell:
        return _Definition(function).trace(
            gates.split(), state.split(), vectors.split(), split.split(), input_only.split(), recurrence
        )

    return decorate


class _Definition:
    """The function behind a cell, and how to complain about it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        if not inspect.isfunction(function):
            raise DefinitionError(f"@cell decorates a function, not {type(function).__name__} ({function!r})")
        self.function = function
        self.code = function.__code__

    def fail(self, message: str, line: int | None = None) -> NoReturn:
        where = f"{self.code.co_filename}:{line or self.code.co_firstlineno}"
        raise DefinitionError(f"cell '{self.function.__name__}', {where}: {message}")

    def trace(
        self,
        gates: list[str],
        states: list[str],
        vectors: list[str],
        split: list[str],
        input_only: list[str],
        recurrence: Recurrence,
    ) -> Cell:
        self.check_names(gates, states, vectors)
        self.check_kinds(gates, split, input_only, recurrence)
        self.check_arguments(gates + states + vectors)
        kinds: dict[str, GateKind] = {}
        for name in gates:
            alone = name in input_only or recurrence == "none"
            kinds[name] = "split" if name in split else "input" if alone else "sum"
        arguments = {name: SplitGate(name) if name in split else variable(name) for name in gates + states + vectors}
        next_states = self.call(arguments, states)
        self.check_used(next_states, arguments, states[0])
        if not self.function.__name__.isidentifier():
            self.fail("a cell is a function with a name: use def, not lambda")
        return Cell(
            name=self.function.__name__,
            doc=inspect.cleandoc(self.function.__doc__ or ""),
            gates=tuple(Gate(name, kinds[name]) for name in gates),
            states=tuple(states),
            vectors=tuple(vectors),
            recurrence=recurrence,
            next_states=next_states,
        )

    def check_names(self, gates: list[str], states: list[str], vectors: list[str]) -> None:
        if not gates:
            self.fail("gates is empty: a cell needs at least one gate")
        if not states:
            self.fail("state is empty: a cell needs at least one state, the first being its output")
        names = gates + states + vectors
        for name in names:
            if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
                self.fail(f"'{name}' is no name for an argument: use a Python identifier without a leading _")
            for prefix in ("grad_", "next_", "saved_", "weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                if name.startswith(prefix):
                    self.fail(f"'{name}' begins with {prefix}, which has a meaning of its own: call it something else")
            if name in OPERATIONS or name == "torch":
                kind = "an operation" if name in OPERATIONS else "a library"
                self.fail(f"'{name}' is the name of {kind}: call the argument something else")
            if names.count(name) > 1:
                self.fail(f"'{name}' is declared more than once among gates, state and vectors")
        for name in gates:
            for part in (f"{name}_x", f"{name}_h"):
                if part in names:
                    self.fail(f"'{part}' would clash with a part of gate '{name}': call it something else")

    def check_kinds(self, gates: list[str], split: list[str], input_only: list[str], recurrence: str) -> None:
        if recurrence not in ("dense", "diagonal", "none"):
            self.fail(f"recurrence is {recurrence!r}: it must be 'dense', 'diagonal' or 'none'")
        for argument, names in (("split", split), ("input_only", input_only)):
            for name in names:
                if name not in gates:
                    self.fail(f"{argument} names '{name}', which is not among the gates ({' '.join(gates)})")
        for name in split:
            if name in input_only:
                self.fail(f"gate '{name}' is both split and input_only: choose one")
            if recurrence != "dense":
                self.fail(f"gate '{name}' is split, which needs recurrence='dense', not {recurrence!r}")
        if recurrence != "none" and set(gates) == set(input_only):
            self.fail(
                f"every gate is input_only, which leaves no recurrence: say recurrence='none', not {recurrence!r}"
            )

    def check_arguments(self, names: list[str]) -> None:
        parameters = inspect.signature(self.function).parameters.values()
        for parameter in parameters:
            if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
                self.fail(f"argument '{parameter}' is not a plain named argument")
            if parameter.default is not parameter.empty:
                self.fail(f"argument '{parameter.name}' has a default; every argument is a gate, a state or a vector")
            if parameter.name not in names:
                self.fail(f"argument '{parameter.name}' is neither a gate, a state nor a vector ({' '.join(names)})")
        missing = [name for name in names if name not in {p.name for p in parameters}]
        if missing:
            self.fail(f"'{missing[0]}' is declared but the function has no such argument")

    def call(self, arguments: dict[str, Any], states: list[str]) -> tuple[Expr, ...]:
        try:
            result = self.function(**arguments)
        except DefinitionError:
            raise
        except Exception as error:
            frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == self.code.co_filename]
            self.fail(f"{error}", line=frames[-1].lineno if frames else None)
        results = result if isinstance(result, tuple | list) else (result,)
        if len(results) != len(states):
            self.fail(f"it returns {len(results)} value(s) for {len(states)} state(s) ({' '.join(states)})")
        for state, value in zip(states, results, strict=True):
            if not isinstance(value, Expr):
                self.fail(f"the new state '{state}' is {type(value).__name__} ({value!r}), not an expression")
            if value.op == "constant":
                self.fail(f"the new state '{state}' is the constant {value!r}: it would carry nothing to the next step")
        return tuple(results)

    def check_used(self, next_states: Iterable[Expr], arguments: dict[str, Any], output: str) -> None:
        used = set(topological(next_states))
        for name, value in arguments.items():
            for part in (value.x, value.h) if isinstance(value, SplitGate) else (value,):
                if part not in used and name != output:
                    shown = name if part is value else f"{name}.{part.name[-1]}"
                    self.fail(f"argument '{shown}' is never used")
