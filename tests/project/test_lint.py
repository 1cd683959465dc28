"""sqlfluff over the SQL, with the templater that asks dbt, which asks a server."""

import os
import subprocess
import sys
from pathlib import Path

from loaders.connection import Address
from tests.conftest import REPOSITORY


def test_sqlfluff_is_clean(address: Address) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("sqlfluff"), "lint", "models", "analyses", "tests/dbt"],
        cwd=REPOSITORY,
        env=os.environ | address.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
