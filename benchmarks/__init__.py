"""What is timed, and against whom. `python -m benchmarks.layers` (or `.training`) prints the tables."""
