"""Thousands of different queries, run in parallel."""
