"""One training step of small networks, by the population. `python -m benchmarks.training` prints the tables."""
