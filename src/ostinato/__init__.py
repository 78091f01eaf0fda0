"""Ostinato: write a recurrence once, train it by the hundred, see what it remembers."""
