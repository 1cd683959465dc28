"""The page of results: one HTML file, its plots as SVG within it, that needs no network."""
