"""The report: complete, escaped, in need of nothing, and small."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import polars as pl
import pytest

import memory_run
from ostinato.errors import DataError
from ostinato.lab import report


class Wait:
    """Two digits & a wait: `6 7 0` is 13 < 19.

    What comes here is not on the page.
    """

    name, metric, threshold = "wait", "accuracy", 0.9

    def chance(self, length):
        return 0.1


class Sum(Wait):
    name, metric, threshold = "sum", "mse", 0.01


NAMES = ("score", "distribution", "solving", "loss")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "new"
    run = replace(
        memory_run.RUN, command="ostinato memory --cells 'a<b>&c'", settings={"note": "<script>", "list": [1]}
    )
    results = memory_run.results(cells=["srn", "a<b>&c"], lengths=(10, 20), seeds=7, diverged=1)
    assert report.write(run, results, Wait(), folder) == folder / "report.html"
    return folder


class Balance(HTMLParser):
    """Complains about a tag that is closed where another one is open."""

    EMPTY = ("meta", "br", "img")

    def __init__(self):
        super().__init__()
        self.open = []

    def handle_starttag(self, tag, attrs):
        if tag not in self.EMPTY:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole(folder):
    page = (folder / "report.html").read_text("utf-8")
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert page.count("<svg") == len(NAMES)
    assert "$" not in re.sub(r"<svg.*?</svg>", "", page, flags=re.DOTALL)
    assert page.index("What the run shows") < page.index("The numbers") < page.index("<svg")
    assert "2 cells, 2 lengths, 7 seeds: 28 networks." in page
    assert "1 of 28 networks diverged" in page
    assert "2026-05-01T12:00:00+00:00" in page
    assert "torch 2.13.0" in page


def test_everything_is_escaped(folder):
    page = (folder / "report.html").read_text("utf-8")
    assert "ostinato memory --cells &#x27;a&lt;b&gt;&amp;c&#x27;" in page
    assert "Two digits &amp; a wait: 6 7 0 is 13 &lt; 19." in page
    assert "not on the page" not in page
    assert "<b>" not in page
    assert "<script" not in page


def test_the_page_needs_nothing_from_elsewhere(folder):
    page = (folder / "report.html").read_text("utf-8")
    assert not re.search(r'(src|href)="(https?:)?//|url\((?!#)|@import', page)
    for name in re.findall(r'href="([^"]+)"', page):
        assert (folder / name).exists()


def test_every_figure_has_its_table(folder):
    made = sorted(path.name for path in folder.iterdir())
    tables = [f"{name}.csv" for name in ("networks", "differences", "spans")]
    assert made == sorted([f"{n}.{kind}" for n in NAMES for kind in ("png", "svg", "csv")] + tables + ["report.html"])
    assert len(pl.read_csv(folder / "networks.csv")) == 28
    assert pl.read_csv(folder / "score.csv")["seeds"].to_list() == [7] * 4
    assert len(pl.read_csv(folder / "loss.csv")) == 4 * 40


def test_the_same_run_gives_the_same_page(folder, tmp_path):
    results = memory_run.results(lengths=(10,), seeds=3)
    pages = [report.write(memory_run.RUN, results, Wait(), tmp_path / name).read_bytes() for name in "ab"]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("task", "run"),
    [
        (Wait(), {"cells": ["srn"], "lengths": (10,), "seeds": 1}),
        (Sum(), {"lengths": (10, 100), "seeds": 4, "metric": "mse", "diverged": 4}),
        (Wait(), {"cells": ["srn"], "lengths": (10,), "seeds": 2, "diverged": 2}),
    ],
    ids=["one network", "errors", "all diverged"],
)
def test_other_runs_have_a_report_too(task, run, tmp_path):
    page = report.write(memory_run.RUN, memory_run.results(**run), task, tmp_path).read_text("utf-8")
    assert not re.search(r"\bnan\b|None\b", page)


def test_a_large_run_has_a_small_page(tmp_path):
    results = memory_run.results(cells=memory_run.CELLS, lengths=(10, 20), seeds=30, points=190)
    page = report.write(memory_run.RUN, results, Wait(), tmp_path)
    assert page.stat().st_size < 1_000_000


def test_nothing_is_written_of_nothing(tmp_path):
    with pytest.raises(DataError, match="no result yet"):
        report.write(memory_run.RUN, [], Wait(), tmp_path)
