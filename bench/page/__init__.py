"""The page of results: one HTML file, its plots as SVG within it, that needs no network."""

from bench.page.document import write_page

__all__ = ["write_page"]
