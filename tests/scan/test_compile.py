"""Where compiled kernels are kept, and what a user hears of it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import pytest

from ostinato.scan import compile

PROGRAM = """
import time, torch
from ostinato.scan import Weights, scan
from ostinato.cells import srn
t = torch.ones
begin = time.perf_counter()
scan(srn, t(2, 1, 3), Weights(t(4, 3), t(4, 4)), backend="cpu")
print(time.perf_counter() - begin)
"""


def run(**environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM], env=os.environ | environment, capture_output=True, text=True, check=True
    )


@pytest.mark.slow
def test_kernels_are_compiled_once_and_found_again_by_other_processes(tmp_path):
    first = run(OSTINATO_CACHE_DIR=str(tmp_path))
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    again = run(OSTINATO_CACHE_DIR=str(tmp_path))
    assert first.stderr in ("", "ostinato: compiling kernels for this machine, which is done once\n")
    assert written == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.nb*")}
    assert float(again.stdout) < float(first.stdout)
    sources = list(tmp_path.rglob("*.py"))
    assert sources
    assert all(source.stat().st_mode & 0o444 == 0o444 for source in sources), "another user could not read it"


@pytest.mark.slow
def test_without_a_place_to_write_it_runs_all_the_same(tmp_path):
    place = tmp_path / "file"
    place.write_text("in the way")
    assert float(run(OSTINATO_CACHE_DIR=str(place)).stdout) > 0


def test_the_notice_comes_after_a_second_and_once(capsys, monkeypatch):
    monkeypatch.setattr(compile._Notice, "said", False)
    with compile._Notice():
        pass
    assert capsys.readouterr().err == ""
    for _ in range(2):
        with compile._Notice():
            time.sleep(1.1)
    assert capsys.readouterr().err == "ostinato: compiling kernels for this machine, which is done once\n"


def test_threads_that_ask_at_once_compile_once():
    calls = []

    @compile._once
    def slow(key: int) -> list[int]:
        time.sleep(0.05)
        calls.append(key)
        return [key]

    found = []
    threads = [threading.Thread(target=lambda: found.append(slow(1))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == [1]
    assert all(result is found[0] for result in found)
