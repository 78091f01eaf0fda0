"""The results of a run as a file for another program."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import polars as pl

from ..errors import DataError
from .results import Result

#: What `encode` writes.
FORMATS = ("csv", "json", "parquet")


def evaluation_table(results: Sequence[Result]) -> pl.DataFrame:
    """A row an evaluation: cell, length, seed, step, train_loss, dev_loss, dev; what is not finite is null."""
    rows = [
        (r.cell, r.length, r.seed, *values)
        for r in results
        for values in zip(r.curve.step, r.curve.train_loss, r.curve.dev_loss, r.curve.dev, strict=True)
    ]
    whole = {"cell": pl.String, "length": pl.Int64, "seed": pl.Int64, "step": pl.Int64}
    numbers = dict.fromkeys(("train_loss", "dev_loss", "dev"), pl.Float64)
    table = pl.DataFrame(rows, schema={**whole, **numbers}, orient="row")
    return table.with_columns(pl.when(pl.col(*numbers).is_finite()).then(pl.col(*numbers)))


def encode(table: pl.DataFrame, format: str) -> bytes:
    """The table as CSV, as JSON, a list with an object a row, or as Parquet.

    Raises:
        DataError: another format.
    """
    if format not in FORMATS:
        raise DataError(f"no format is called {format!r}; there are: {', '.join(FORMATS)}")
    content = BytesIO()
    getattr(table, f"write_{format}")(content)
    return content.getvalue() + (b"\n" if format == "json" else b"")
