"""Figures: drawn for every kind of run, with everything in them and nothing outside of them."""

import itertools
import json
import math
import re

import pytest

import memory_run
from ostinato.lab import charts, figures, tables
from ostinato.lab.measure import Measure

RUNS = {
    "two cells": {"diverged": 2, "lengths": (10, 20, 30)},
    "one network": {"cells": ["srn"], "lengths": (10,), "seeds": 1},
    "eight cells": {"cells": memory_run.CELLS, "lengths": (10, 20), "seeds": 9},
    "errors": {"metric": "mse", "lengths": (10, 100), "diverged": 1},
    "all diverged": {"cells": ["srn"], "lengths": (10,), "seeds": 3, "diverged": 3},
}


def every_figure(metric="accuracy", **run):
    results = memory_run.results(metric=metric, points=20, **run)
    measure = Measure(metric, 0.9 if metric == "accuracy" else 0.01)
    chance = {r.length: 0.1 for r in results}
    networks = tables.network_table(results)
    return {
        "score": figures.score_figure(tables.summary_table(results, measure), networks, measure, chance),
        "distribution": figures.distribution_figure(
            tables.distribution_table(results, measure), networks, measure, chance
        ),
        "solving": figures.solving_figure(tables.solving_table(results), measure),
        "loss": figures.loss_figure(tables.curve_table(results)),
    }


@pytest.mark.parametrize("name", RUNS)
def test_every_run_is_drawn(name, tmp_path):
    for figure_name, figure in every_figure(**RUNS[name]).items():
        svg = charts.draw(figure, tmp_path / figure_name)
        assert "NaN" not in svg
        assert "Infinity" not in svg
        assert (tmp_path / f"{figure_name}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        cells = RUNS[name].get("cells", memory_run.CELLS[:2])
        assert name == "all diverged" or all(f">{cell}<" in svg for cell in cells)


def test_every_network_is_a_dot_and_every_lost_one_a_cross():
    svg = charts.vl_convert.vegalite_to_svg(every_figure(**RUNS["two cells"])["score"].to_json())
    assert len(re.findall(r'opacity="0.35"', svg)) == 2 * 3 * 16 - 2
    assert len(re.findall(r'opacity="0.8"', svg)) == 2
    assert "cross at the edge: diverged" in svg


def test_names_do_not_cover_each_other():
    svg = charts.vl_convert.vegalite_to_svg(every_figure(**RUNS["eight cells"])["score"].to_json())
    names = [*memory_run.CELLS, "chance", "solved"]
    heights = [float(re.search(rf'translate\([\d.]+,([\d.]+)\)"[^>]*>{name}<', svg)[1]) for name in names]
    heights.sort()
    assert min(b - a for a, b in itertools.pairwise(heights)) > 15
    assert max(heights) <= 390 + 10


def test_an_error_has_a_logarithmic_axis_of_whole_decades():
    description = json.loads(every_figure(**RUNS["errors"])["score"].to_json())
    scale = description["layer"][0]["encoding"]["y"]["scale"]
    assert scale["type"] == "log"
    low, high = map(math.log10, scale["domain"])
    assert (low, high) == (pytest.approx(round(low)), pytest.approx(round(high)))


def test_the_loss_is_logarithmic_only_where_it_goes_over_two_decades():
    def scale(top, bottom):
        result = memory_run.results(cells=["srn"], lengths=(10,), seeds=1, points=2)[0]
        losses = [top, bottom]
        result.curve.train_loss[:], result.curve.dev_loss[:] = losses, losses
        panel = json.loads(figures.loss_figure(tables.curve_table([result])).to_json())["concat"][0]
        return panel["layer"][0]["encoding"]["y"]["scale"]

    assert scale(3.0, 0.01)["type"] == "log"
    assert scale(3.0, 0.5)["type"] == "linear"
    assert scale(3.0, 0.0)["domain"][0] > 0 or scale(3.0, 0.0)["type"] == "linear"
