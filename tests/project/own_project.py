"""A copy of the project as somebody's own: the samples set aside, files of real data packages declared in it."""

import csv
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from loaders.connection import Address
from tests.conftest import REPOSITORY
from tests.project.conftest import Dbt, without_warnings

# What dbt keeps of a copy that it has parsed, with the samples and without: a later copy parses only what it adds.
_parsed: dict[bool, bytes] = {}
PARTS = ("analyses", "dbt_project.yml", "macros", "models", "profiles.yml", "seeds", "tests/dbt")


def package_file(path: str) -> Path:
    """Return a file inside an installed package: vega_datasets/_data/stocks.csv."""
    package, _, inside = path.partition("/")
    spec = find_spec(package)
    assert spec is not None, package
    assert spec.submodule_search_locations, package
    return Path(next(iter(spec.submodule_search_locations))) / inside


def as_ndjson(path: Path) -> str:
    """Return the documents of a JSON array, one a line."""
    return "".join(json.dumps(document) + "\n" for document in json.loads(path.read_text()))


def as_written(texts: list[dict[str, str]], delimiter: str) -> str:
    """Return records as a CSV file with this delimiter."""
    from io import StringIO

    stream = StringIO()
    writer = csv.DictWriter(stream, list(texts[0]), delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(texts)
    return stream.getvalue()


class OwnDbt(Dbt):
    """Dbt where models are disabled: it says so of each of their tests, to its debug log, as a warning."""

    def succeed(self, *arguments: str) -> str:
        """Run dbt, and see that it ends well and warns of nothing else; return what it said."""
        done = self.run(*arguments)
        said = "\n".join(line for line in done.stdout.splitlines() if "which is disabled" not in line)
        assert done.returncode == 0, said
        return without_warnings(said)


@dataclass(frozen=True)
class OwnProject:
    """A copy of the project in `folder`, with a bronze root of its own and a database of the test's."""

    folder: Path
    address: Address
    dbt: Dbt

    def write(self, name: str, data: str | bytes) -> str:
        """Write a bronze file and return its path from the project."""
        path = self.folder / "data" / "bronze" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        return path.relative_to(self.folder).as_posix()

    def copy(self, name: str, packaged: str) -> str:
        """Copy a file of an installed package to bronze and return its path from the project."""
        return self.write(name, package_file(packaged).read_bytes())

    @property
    def environment(self) -> dict[str, str]:
        """What a command in the project runs with."""
        others = {name: value for name, value in os.environ.items() if name != "BRONZE_ROOT"}
        path = os.pathsep.join([str(Path(sys.executable).parent), others.get("PATH", "")])
        return others | self.address.environment | {"PYTHONPATH": str(REPOSITORY), "PATH": path}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m loaders` in the project."""
        return subprocess.run(
            [sys.executable, "-m", "loaders", *arguments],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def succeed(self, *arguments: str) -> str:
        """Run `python -m loaders`, see that it ends well, and return what it printed."""
        done = self.run(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def text(self, name: str) -> Path:
        """Return a file of the project."""
        return self.folder / name


def copy_project(folder: Path, address: Address, *, samples: bool) -> OwnProject:
    """Copy the project's own files, and no test or data, to a folder."""
    for part in PARTS:
        source, target = REPOSITORY / part, folder / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    if not samples:
        settings = folder / "dbt_project.yml"
        settings.write_text(settings.read_text().replace("samples: &samples true", "samples: &samples false"))
    (folder / "data" / "bronze").mkdir(parents=True)
    own = OwnProject(folder, address, OwnDbt(address, folder, folder))
    parsed = folder / "target" / "partial_parse.msgpack"
    if samples in _parsed:
        parsed.parent.mkdir()
        parsed.write_bytes(_parsed[samples])
    else:
        own.dbt.parse()
        _parsed[samples] = parsed.read_bytes()
    return own
