"""docs/adding-a-source.md, run as it stands: its commands, its files, its outputs."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from loaders.connection import Address
from loaders.server import LocalServer
from tests.conftest import REPOSITORY
from tests.project.own_project import OwnProject, copy_project

PAGE = (REPOSITORY / "docs" / "adding-a-source.md").read_text()
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COLORS = re.compile(r"\x1b\[\d*m")


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a console block, and the lines that it is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command, said.rstrip("\n").splitlines()


def without_figures(line: str) -> str:
    """Return a line without times, ids and rates, which are others on each run."""
    return re.sub(r"\d[\d.,:]*", "N", re.sub(r"\s+", " ", line)).strip()


@pytest.fixture
def own(tmp_path: Path, address: Address) -> OwnProject:
    return copy_project(tmp_path / "own", address, samples=True)


def test_the_page_says_what_happens(own: OwnProject, server: LocalServer) -> None:
    # The page runs where the repository does: `python -m bench` and `python -m loaders` find their packages there.
    environment = own.environment
    environment["PATH"] = f"{environment['PATH']}:{server.binaries}"
    kinds = []
    for kind, block in BLOCK.findall(PAGE):
        kinds.append(kind)
        if kind in ("sql", "yaml"):
            name, _, text = block.partition("\n")
            own.text(name.lstrip("-# ")).write_text(text)
        elif kind == "diff":
            git = ["git", "apply", "-p1"]
            subprocess.run(git, cwd=own.folder, input=block, text=True, check=True)
        else:
            for command, expected in commands(block):
                shell = ["bash", "-c", command]
                done = subprocess.run(
                    shell,
                    cwd=own.folder,
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                    timeout=300,
                )
                said = COLORS.sub("", done.stdout)
                assert done.returncode == 0, f"{command}\n{said}{done.stderr}"
                lines = [without_figures(line) for line in said.splitlines()]
                missing = [line for line in expected if line != "..." and without_figures(line) not in lines]
                assert missing == [], f"{command} said\n{said}{done.stderr}"
    assert {"console", "sql", "yaml", "diff"} == set(kinds)
