"""Benchmark queries under load: queries a second and latency."""
