"""A dbt command in this process, and what it said where it failed."""

import os
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

from bench.errors import ToolError
from loaders.connection import Address

SAID_CHARACTERS = 600


def run_dbt(*arguments: str, project: Path, artifacts: Path, address: Address, manifest: Any = None) -> Any:
    """Run a command on a project and return its result; ToolError carries dbt's words.

    Its target and logs are folders of `artifacts`. With a `manifest`, which `parse` returns, it does not parse.
    """
    from dbt.cli.main import dbtRunner  # takes a second to import

    options = ["--project-dir", project, "--profiles-dir", project, "--target-path", artifacts / "target"]
    said: list[str] = []
    with mock.patch.dict(os.environ, address.environment), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # dbt's own dependencies
        runner = dbtRunner(manifest=manifest, callbacks=[lambda event: said.append(str(event.info))])
        done = runner.invoke(["--quiet", "--log-path", str(artifacts / "logs"), *arguments, *map(str, options)])
    if isinstance(done.exception, KeyboardInterrupt):
        raise done.exception
    if not done.success:
        words = " ".join(" ".join(said).split())[-SAID_CHARACTERS:]
        raise ToolError(f"dbt {' '.join(arguments)} failed: {words} {done.exception or ''} Fix that, then try again.")
    return done.result
