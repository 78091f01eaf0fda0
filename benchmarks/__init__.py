"""What is timed, and against whom. `python -m benchmarks.layers` prints the tables."""
