"""Thousands of different queries, asked in parallel."""
