"""The whole benchmark as a command."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from benchmarks.cases import Measured, Result
from benchmarks.contestants import has_paddle
from benchmarks.requirements import SHAPES

from benchmarks import layers, memory

from .conftest import ROOT


@pytest.mark.slow
def test_quick(tmp_path):
    file = tmp_path / "figures.json"
    command = [sys.executable, "-W", "error", "-m", "benchmarks.layers", "--quick", "--only", "srn", "cell"]
    done = subprocess.run([*command, "--json", str(file)], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for title in ("Layers", "A cell of one's own"):
        assert title in done.stdout
    assert "Paddle is not installed" in done.stdout or has_paddle()
    figures = json.loads(file.read_text("utf-8"))
    assert {"date", "threads", "cpu", "versions", "peak_gflops", "tolerance", "results"} <= figures.keys()
    assert figures["threads"] == 2
    assert figures["peak_gflops"] > 0
    found = {(r["layer"], r["shape"], r["what"], r["peer"]) for r in figures["results"]}
    for shape in ("B2 T5 M10 D10", "B32 T64 M128 D128"):
        for what in ("forward + backward", "inference"):
            assert ("SRN", shape, what, "torch.nn") in found
            assert ("own cell", shape, what, "eager loop") in found
            assert ("own cell", shape, what, "ostinato LSTM") in found
    assert (("SRN", "B32 T64 M128 D128", "memory", "torch.nn") in found) == memory.can_measure()
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--only", "lstmm"], "no layer is called 'lstmm'; there are: LSTM, GRU, SRN, own cell"),
        (["--shape", "B9"], "no shape begins with B9; there are: B2 T5 M10 D10,"),
        (["--threads", "0"], "--threads is 0: at least 1"),
    ],
)
def test_wrong_options(capsys, arguments, message):
    with pytest.raises(SystemExit) as stop:
        layers.main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


def test_shapes_are_chosen_by_their_beginning():
    assert layers._parse(["--shape", "B8"]).shape == [SHAPES[1]]
    assert layers._parse(["--shape", "B8 T20", "B128"]).shape == [SHAPES[1], SHAPES[4]]
    assert layers._parse([]).shape == list(SHAPES)


@pytest.mark.parametrize(("ratio", "required", "status"), [(1.0, True, 1), (1.0, False, 0), (3.0, True, 0)])
def test_short_is_an_error_only_if_asked(monkeypatch, capsys, ratio, required, status):
    results = [
        Result("LSTM", "B8 T20 M32 D32", "forward + backward", "torch.nn", "ms", 1.0, ratio, ratio, 2.2, flops=1e9),
        Result("LSTM", "B8 T20 M32 D32", "inference", "torch.nn", "ms", 1.0, ratio, ratio, flops=1e9),
    ]
    monkeypatch.setattr(layers, "run", lambda *_: Measured(results, 0.0, 1e11))
    monkeypatch.setattr(layers, "has_paddle", lambda: False)
    monkeypatch.setattr(memory, "can_measure", lambda: False)
    arguments = ["--shape", "B8", "--threads", "1"] + ["--require"] * required
    assert layers.main(arguments) == status
    assert ("short: LSTM B8 T20 M32 D32" in capsys.readouterr().out) == (ratio < 2.2)


def test_memory_of_a_buffer(monkeypatch):
    if not memory.can_measure():
        pytest.skip("this system does not tell the peak of the resident set")
    size = 64 << 20

    class Layer:
        def run(self, mode):
            bytearray(b"1") * size

    monkeypatch.setattr(memory, "our_layer", lambda kind, task: Layer())
    assert size * 0.95 < memory.peak_growth("LSTM", SHAPES[0], True, 1) < size * 1.2
