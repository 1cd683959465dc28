"""Index trials of benchmark queries."""
