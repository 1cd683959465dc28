"""The benchmark queries: dbt analyses that declare `config.meta.benchmark`, compiled by dbt."""

import itertools
import json
import math
import os
import random
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.environment import Circumstances, dbt_program, read_circumstances
from bench.errors import ProjectError, UnknownQuery
from loaders.connection import Address

PARAMETER_TYPES = ("integer", "bigint", "text")
# More sets of arguments than this are sampled where every one would be asked.
EVERY_SET = 1000
Argument = int | str
Arguments = tuple[Argument, ...]


@dataclass(frozen=True)
class Parameter:
    """One placeholder: its name, its type, the values that it may take (a range of numbers, or texts)."""

    name: str
    type: str
    values: Sequence[Argument]


@dataclass(frozen=True)
class Benchmark:
    """One analysis: its question, the layer that it asks, its SQL with $1 and so on, what it reads."""

    name: str
    question: str
    layer: str
    sql: str
    parameters: tuple[Parameter, ...]
    # Schema and name of each table, view and seed.
    reads: tuple[tuple[str, str], ...] = ()

    def draws(self, count: int, source: random.Random) -> list[Arguments]:
        """Draw `count` sets of arguments."""
        columns = [source.choices(p.values, k=count) for p in self.parameters]
        return list(zip(*columns, strict=True)) if columns else [()] * count

    def levels(self) -> list[Arguments]:
        """Return the sets of the parameters' low, middle and high values, each set once."""
        places = (tuple(p.values[(len(p.values) - 1) * half // 2] for p in self.parameters) for half in range(3))
        return list(dict.fromkeys(places))

    def every_argument(self, seed: int, most: int = EVERY_SET) -> list[Arguments]:
        """Return every set of arguments, or about `most` of them drawn by `seed` where there are more."""
        if math.prod(len(p.values) for p in self.parameters) <= most:
            return list(itertools.product(*(p.values for p in self.parameters)))
        return list(dict.fromkeys(self.draws(most, random.Random(seed))))  # noqa: S311 - not a secret


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
        raise ProjectError(f"dbt compile failed: {said[-600:]} Fix the project until `dbt compile` passes.")
    manifest = json.loads((target / "manifest.json").read_text())
    return read_benchmarks(manifest)


def read_benchmarks(manifest: Mapping[str, Any]) -> list[Benchmark]:
    """Return the benchmarks among a manifest's compiled analyses, sorted by question and by layer as data flows."""
    nodes = {**manifest["nodes"], **manifest.get("sources", {})}
    analyses = [node for node in manifest["nodes"].values() if node["resource_type"] == "analysis"]
    found = [_benchmark(node, nodes) for node in analyses if node["config"].get("meta", {}).get("benchmark")]
    return sorted(found, key=lambda one: (one.question, _depth(one.layer), one.name))


def read_circumstances_of(benchmarks: Sequence[Benchmark], address: Address) -> Circumstances:
    """Look at what surrounds these queries, with the tables that they read and a hash of their SQL."""
    tables = {table for one in benchmarks for table in one.reads}
    return read_circumstances(address, tables=tables, queries={one.name: one.sql for one in benchmarks})


def choose(benchmarks: Sequence[Benchmark], names: Sequence[str]) -> list[Benchmark]:
    """Return the benchmarks that `names` name (all where it is empty); UnknownQuery lists the known ones."""
    known = {one.name for one in benchmarks}
    for name in names:
        if name not in known:
            listed = ", ".join(sorted(known)) or "none: no analysis declares config.meta.benchmark"
            raise UnknownQuery(f"No benchmark query is named {name!r}. Known: {listed}.")
    return [one for one in benchmarks if not names or one.name in names]


def _depth(layer: str) -> int:
    layers = ("staging", "core", "mart")
    return layers.index(layer) if layer in layers else len(layers)


def _benchmark(node: Mapping[str, Any], nodes: Mapping[str, Any]) -> Benchmark:
    """Read one compiled analysis; ProjectError names the analysis and what its declaration lacks."""
    declared = node["config"]["meta"]["benchmark"]
    try:
        parameters = tuple(_parameter(p) for p in declared["parameters"])
        question, layer = str(declared["question"]), str(declared["layer"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise ProjectError(
            f"{node['original_file_path']}: its config.meta.benchmark cannot be read ({error!r}). Declare question, "
            "layer and parameters ([] for none): each with name, type (" + ", ".join(PARAMETER_TYPES) + ") and either "
            "min and max, or for text its values."
        ) from error
    read = [nodes[name] for name in node.get("depends_on", {}).get("nodes", [])]
    reads = tuple((one["schema"], one.get("identifier") or one.get("alias") or one["name"]) for one in read)
    return Benchmark(node["name"], question, layer, node["compiled_code"].strip().rstrip(";"), parameters, reads)


def _parameter(declared: Mapping[str, Any]) -> Parameter:
    """Read one parameter; ValueError says what is wrong with its type or values."""
    name, type_ = str(declared["name"]), str(declared["type"])
    values: Sequence[Argument]
    if type_ == "text":
        if isinstance(declared["values"], str):
            raise ValueError(f"{name}: values is a text, not a list")
        values = tuple(str(value) for value in declared["values"])
    elif type_ in PARAMETER_TYPES:
        values = range(int(declared["min"]), int(declared["max"]) + 1)
    else:
        raise ValueError(f"{name}: type is {type_}")
    if not len(values):  # OverflowError where a range has more values than can be counted
        raise ValueError(f"{name}: no value is allowed")
    return Parameter(name, type_, values)
