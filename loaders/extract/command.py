"""`python -m loaders extract`: a run of each named source table, one that fails not keeping the others."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from loaders.errors import ExtractError, LoaderError
from loaders.extract.extraction import Extraction, ExtractOptions, ExtractResult
from loaders.roots import bronze_root
from loaders.sources import read_sources, select_sources


def run(names: Sequence[str], options: ExtractOptions, json_path: Path | None) -> int:
    """Extract the sources, and return the exit code; `json_path` gets what was done."""
    sources = select_sources(read_sources(Path()), names)
    root = bronze_root(make=True)
    done: list[dict[str, Any]] = []
    failed = 0
    for source in sources:
        retries: list[str] = []

        def say(error: str, wait: float, name: str = source.name, retries: list[str] = retries) -> None:
            retries.append(error)
            click.echo(f"{name}: {error}: trying again in {wait:.1f} s", err=True)

        problem = None
        try:
            result = Extraction(source, root=root, options=options, say=say).run()
        except LoaderError as error:
            problem = f"{source.name}: {error}" if isinstance(error, ExtractError) else str(error)
            click.echo(f"error: {problem}", err=True)
            failed += 1
            done.append({"source": source.name, "retries": retries, "problem": problem})
        else:
            _say_extracted(result)
            rate = {"records_per_second": result.records_per_second}
            done.append(asdict(result) | rate | {"retries": retries, "problem": None})
    if json_path is not None:
        json_path.write_text(json.dumps(done, indent=2) + "\n")
    return 1 if failed else 0


def _say_extracted(result: ExtractResult) -> None:
    files = "1 file" if result.files == 1 else f"{result.files:,} files"
    pages = "1 page" if result.pages == 1 else f"{result.pages:,} pages"
    click.echo(
        f"{result.source}: run {result.run_id}: {files}, {result.records:,} records in {pages}, "
        f"{result.seconds:.2f} s, {result.records_per_second:,.0f} records/s, {result.bytes / 1e6:,.1f} MB"
    )
