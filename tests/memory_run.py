"""A run as an experiment leaves it behind, of plausible made-up numbers: what tables, words, figures and pages show."""

from __future__ import annotations

import math

import numpy as np

from ostinato.lab.results import Curve, Result, Run

RUN = Run(
    experiment="memory",
    command="ostinato memory --cells srn lstm --lengths 10 15 20 25 30 35 --seeds 16",
    settings={"task": "digit-sum", "cells": ["srn", "lstm"], "lengths": [10, 15], "seeds": 16, "learning_rate": 1e-3},
    versions={"python": "3.12.1", "ostinato": "0.1.0", "torch": "2.13.0"},
    machine={"processor": "a processor", "cores": "8", "system": "Linux"},
    started="2026-05-01T12:00:00+00:00",
)

CELLS = ("srn", "lstm", "gru", "peephole_lstm", "mingru", "indrnn", "residual_srn", "mgu")


def results(cells=CELLS[:2], lengths=(10, 15, 20, 25, 30, 35), seeds=16, metric="accuracy", diverged=0, points=40):
    """One network for each; the first `diverged` seeds of the first cell at the longest length diverge."""
    rng = np.random.default_rng([len(cells), len(lengths), seeds])
    made = []
    for length in lengths:
        for c, cell in enumerate(cells):
            for seed in range(seeds):
                fate = rng.random() < 1 / (1 + math.exp((length - 14 - 9 * ((3 * c) % 8) ** 0.6) / 4))
                bad = seed < diverged and cell == cells[0] and length == lengths[-1]
                made.append(_network(rng, cell, length, seed, fate, metric, bad, points))
    return made


def _network(rng, cell, length, seed, learns, metric, diverges, points):
    step = (100 * np.arange(1, points + 1)).tolist()
    start, floor = (2.9, 0.02) if metric == "accuracy" else (0.17, 5e-5)
    floor *= math.exp(rng.normal(0, 0.6)) * (1 if learns else 40)
    middle = points * rng.uniform(0.15, 0.5)
    fall = 1 / (1 + np.exp((np.arange(points) - middle) / (points / 18)))
    train = np.exp(np.log(floor) + (math.log(start) - math.log(floor)) * fall + rng.normal(0, 0.06, points))
    dev_loss = train + start * (0.05 if learns else 0.35) * (1 - fall) * rng.uniform(0.6, 1.4)
    if metric == "accuracy":
        dev = np.clip(np.round(0.08 + (0.9 if learns else rng.uniform(0.2, 0.6)) * (1 - fall) + 0.03 * learns, 2), 0, 1)
        best = dev.max()
        test = float(np.clip(np.round(best + rng.normal(-0.01, 0.02), 3), 0, 1))
        solved = np.flatnonzero(dev >= 0.9)
    else:
        dev = dev_loss
        best = dev.min()
        test = float(best * math.exp(rng.normal(0, 0.2)))
        solved = np.flatnonzero(dev <= 0.01)
    if diverges:
        curve = Curve(step[:3], [start, 10 * start, math.nan], [start, math.inf, math.nan], [0.1, 0.05, math.nan])
        return Result(cell, length, seed, math.nan, math.nan, 0, None, step[2], "diverged", 1.5, curve)
    return Result(
        cell=cell,
        length=length,
        seed=seed,
        dev=float(best),
        test=test,
        best_step=step[int(np.argmax(dev) if metric == "accuracy" else np.argmin(dev))],
        solved_step=step[solved[0]] if solved.size else None,
        steps=step[-1],
        status="finished",
        seconds=3.0,
        curve=Curve(step, train.tolist(), dev_loss.tolist(), dev.tolist()),
    )
