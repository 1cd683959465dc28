"""docs/adding-a-source.md, run as it stands."""

import subprocess
from pathlib import Path

import pytest

from loaders.connection import Address
from loaders.server import LocalServer
from tests.project.own_project import OwnProject, copy_project
from tests.project.page import blocks, commands, run_command


@pytest.fixture
def own(tmp_path: Path, address: Address) -> OwnProject:
    return copy_project(tmp_path / "own", address, samples=True)


@pytest.mark.one_server("rates of another width, for which a table's column is folded")
def test_the_page_says_what_happens(own: OwnProject, server: LocalServer) -> None:
    # The page runs where the repository does: `python -m bench` and `python -m loaders` find their packages there.
    environment = own.environment
    environment["PATH"] = f"{environment['PATH']}:{server.binaries}"
    kinds = []
    for kind, block in blocks("adding-a-source.md"):
        kinds.append(kind)
        if kind in ("sql", "yaml"):
            name, _, text = block.partition("\n")
            own.text(name.lstrip("-# ")).write_text(text)
        elif kind == "diff":
            git = ["git", "apply", "-p1"]
            subprocess.run(git, cwd=own.folder, input=block, text=True, check=True)
        else:
            for command, expected in commands(block):
                run_command(command, expected, own.folder, environment)
    assert {"console", "sql", "yaml", "diff"} == set(kinds)
