"""The benchmark queries: dbt analyses that declare `config.meta.benchmark`, compiled by dbt."""

import itertools
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import ProjectError, UnknownQuery
from loaders.connection import Address

PARAMETER_TYPES = ("integer", "bigint")


@dataclass(frozen=True)
class Parameter:
    """One placeholder: its name, type and range, both ends included."""

    name: str
    type: str
    min: int
    max: int


@dataclass(frozen=True)
class Benchmark:
    """One analysis: the question that it answers, the layer that it asks, its compiled SQL with $1, $2 ..."""

    name: str
    question: str
    layer: str
    sql: str
    parameters: tuple[Parameter, ...]

    def draws(self, count: int, source: random.Random) -> list[tuple[int, ...]]:
        """Draw `count` sets of arguments."""
        return [tuple(source.randint(p.min, p.max) for p in self.parameters) for _ in range(count)]

    def every_argument(self) -> Iterator[tuple[int, ...]]:
        """Yield every set of arguments in range."""
        return itertools.product(*(range(p.min, p.max + 1) for p in self.parameters))


def compile_benchmarks(project: Path, address: Address) -> list[Benchmark]:
    """Compile the project's analyses with dbt and return its benchmarks by question, in dbt's order of layers."""
    if not (project / "dbt_project.yml").exists():
        raise ProjectError(f"{project} has no dbt_project.yml: run this from the repository's root.")
    target = project / os.environ.get("DBT_TARGET_PATH", "target")
    command = [dbt_program(), "--quiet", "compile", "--select", "resource_type:analysis", "--target-path", str(target)]
    ended = subprocess.run(
        command, cwd=project, env=os.environ | address.environment, capture_output=True, text=True, check=False
    )
    if ended.returncode != 0:
        said = " ".join((ended.stdout + ended.stderr).split())
        raise ProjectError(f"dbt compile failed: {said[-600:]} Mend the project until `dbt compile` passes.")
    manifest = json.loads((target / "manifest.json").read_text())
    return read_benchmarks(manifest)


def read_benchmarks(manifest: Mapping[str, Any]) -> list[Benchmark]:
    """Return the benchmarks among a manifest's compiled analyses, sorted by question and by layer as data flows."""
    analyses = [node for node in manifest["nodes"].values() if node["resource_type"] == "analysis"]
    found = [_benchmark(node) for node in analyses if node["config"].get("meta", {}).get("benchmark")]
    return sorted(found, key=lambda one: (one.question, _depth(one.layer), one.name))


def choose(benchmarks: Sequence[Benchmark], names: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks that `names` name (all where it is empty); UnknownQuery lists the known ones."""
    known = {one.name for one in benchmarks}
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none: no analysis declares config.meta.benchmark"
            raise UnknownQuery(f"No benchmark query is named {name!r}. Known: {listed}.")
    return [one for one in benchmarks if not names or one.name in names]


def dbt_program() -> str:
    """Return the dbt of this Python's environment, or else of PATH."""
    beside = Path(sys.executable).with_name("dbt")
    if found := shutil.which(beside) or shutil.which("dbt"):
        return found
    raise ProjectError("dbt is not installed here: install requirements.lock, or run `make demo` once.")


def _depth(layer: str) -> int:
    layers = ("staging", "core", "mart")
    return layers.index(layer) if layer in layers else len(layers)


def _benchmark(node: Mapping[str, Any]) -> Benchmark:
    """Read one compiled analysis; ProjectError names the analysis and what its declaration lacks."""
    name, declared = node["name"], node["config"]["meta"]["benchmark"]
    try:
        parameters = tuple(
            Parameter(str(p["name"]), str(p["type"]), int(p["min"]), int(p["max"])) for p in declared["parameters"]
        )
        question, layer = str(declared["question"]), str(declared["layer"])
    except (KeyError, TypeError, ValueError) as error:
        raise ProjectError(
            f"{node['original_file_path']}: its config.meta.benchmark cannot be read ({error!r}). Declare question, "
            "layer and parameters, each parameter with name, type, min and max."
        ) from error
    for parameter in parameters:
        if parameter.type not in PARAMETER_TYPES or parameter.min > parameter.max:
            raise ProjectError(
                f"{node['original_file_path']}: parameter {parameter.name} is {parameter.type} from {parameter.min} to "
                f"{parameter.max}. Use one of {', '.join(PARAMETER_TYPES)}, and min at most max."
            )
    return Benchmark(name, question, layer, node["compiled_code"].strip().rstrip(";"), parameters)
