"""The scores of a run as one array: cells, lengths, seeds. What was not run has its place too, and is NaN."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import DataError
from .measure import Measure
from .results import Result


@dataclass(frozen=True)
class Grid:
    """The networks of a run by cell, length and seed: C, L and S of them at most.

    Attributes:
        results: one a network.
        measure: what they are judged by.
        cells: in the order in which they first appear.
        lengths, seeds: rising.
        test: [C, L, S], the metric on test; NaN for a network that was not run or never had a score.

    Raises:
        DataError: no result, or two for one cell, length and seed.
    """

    results: Sequence[Result]
    measure: Measure

    def __post_init__(self) -> None:
        if not self.results:
            raise DataError("there is no result yet: nothing can be said of no network")
        seen = set()
        for r in self.results:
            if (r.cell, r.length, r.seed) in seen:
                raise DataError(f"there are two results of {r.cell} at length {r.length} with seed {r.seed}, not one")
            seen.add((r.cell, r.length, r.seed))

    @cached_property
    def cells(self) -> list[str]:
        return list(dict.fromkeys(r.cell for r in self.results))

    @cached_property
    def lengths(self) -> list[int]:
        return sorted({r.length for r in self.results})

    @cached_property
    def seeds(self) -> list[int]:
        return sorted({r.seed for r in self.results})

    @cached_property
    def run(self) -> np.ndarray:
        """[C, L, S] bool: which networks were run."""
        return self._filled(lambda r: 1.0) == 1

    @cached_property
    def test(self) -> np.ndarray:
        return self._filled(lambda r: r.test if np.isfinite(r.test) else np.nan)

    @cached_property
    def solved(self) -> np.ndarray:
        """[C, L, S]: 1 for a network that solved the task on test, 0 for any other, NaN where none was run."""
        return np.where(self.run, self.measure.solved(self.test).astype(float), np.nan)

    def scores(self, cell: str, length: int) -> np.ndarray:
        """The test scores of one cell at one length, without those that have none."""
        scores = self.test[self.cells.index(cell), self.lengths.index(length)]
        return scores[~np.isnan(scores)]

    def _filled(self, value) -> np.ndarray:
        array = np.full((len(self.cells), len(self.lengths), len(self.seeds)), np.nan)
        places = [{v: i for i, v in enumerate(axis)} for axis in (self.cells, self.lengths, self.seeds)]
        for r in self.results:
            array[places[0][r.cell], places[1][r.length], places[2][r.seed]] = value(r)
        return array
