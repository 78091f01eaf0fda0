import io
import json

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from compat.example import RESULTS
from ostinato.errors import DataError
from ostinato.lab.export import FORMATS, encode, evaluation_table
from ostinato.lab.tables import network_table

READ = {"csv": pl.read_csv, "json": pl.read_json, "parquet": pl.read_parquet}


def test_a_row_an_evaluation():
    assert evaluation_table(RESULTS).rows() == [
        ("srn", 20, 6, 100, 2.0, 3.0, 0.5),
        ("srn", 20, 6, 200, 1.0, 2.0, 0.2),
        ("lstm", 10, 5, 200, 0.5, 0.25, 1.0),
        ("lstm", 20, 5, 10, 1.5, 1.5, 0.1),
        ("lstm", 20, 5, 20, None, None, None),
    ]


@pytest.mark.parametrize("make", [network_table, evaluation_table])
@pytest.mark.parametrize("format", FORMATS)
def test_what_is_written_is_read(make, format):
    table = make(RESULTS)
    assert_frame_equal(READ[format](io.BytesIO(encode(table, format))), table)


@pytest.mark.parametrize("make", [network_table, evaluation_table])
def test_no_results(make):
    names = b",".join(name.encode() for name in make(RESULTS).columns)
    assert encode(make([]), "csv") == names + b"\n"
    assert encode(make([]), "json") == b"[]\n"
    assert pl.read_parquet(io.BytesIO(encode(make([]), "parquet"))).columns == make(RESULTS).columns


def test_json_is_json():
    rows = json.loads(encode(network_table(RESULTS), "json"), parse_constant=pytest.fail)
    assert [row["test"] for row in rows] == [0.125, 0.9375, 0.1, None]
    assert rows[3]["seed"] == 2**62


def test_another_format():
    with pytest.raises(DataError, match=r"^no format is called 'xls'; there are: csv, json, parquet$"):
        encode(network_table(RESULTS), "xls")
