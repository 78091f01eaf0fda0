"""Experiments with their figures, tables and reports: one file an experiment."""
