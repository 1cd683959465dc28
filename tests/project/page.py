"""A page of docs/, run as it stands: its commands, its files, its outputs."""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.conftest import REPOSITORY

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COLORS = re.compile(r"\x1b\[\d*m")


def blocks(name: str) -> list[tuple[str, str]]:
    """Return the page's blocks of code: (language, text)."""
    return BLOCK.findall((REPOSITORY / "docs" / name).read_text())


def commands(block: str) -> Iterator[tuple[str, list[str]]]:
    """Yield each command of a console block, and the lines that it is said to print."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, said = part.partition("\n")
        yield command, said.rstrip("\n").splitlines()


def run_command(command: str, expected: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command in bash, see that it ends well and prints what the page says, and return what it printed."""
    shell = ["bash", "-c", command]
    done = subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300)
    said = COLORS.sub("", done.stdout)
    assert done.returncode == 0, f"{command}\n{said}{done.stderr}"
    lines = [without_figures(line) for line in said.splitlines()]
    missing = [line for line in expected if line != "..." and without_figures(line) not in lines]
    assert missing == [], f"{command} said\n{said}{done.stderr}"
    return said


def without_figures(line: str) -> str:
    """Return a line without times, ids, rates and bars, which differ from run to run; counts as in PASS=14 stay."""
    return re.sub(r"(?<![=\d])\d[\d.,:]*|[▁-█][▁-█ ]*(?= )", "N", re.sub(r"\s+", " ", line)).strip()
