"""Imports go one way: bench may import loaders, never the reverse; within bench only downward; nothing in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.bench.support import REPOSITORY

# From the bottom. Modules and packages of one line may import one another, those above may import all below.
ORDER = (
    "bench.errors bench.cores bench.machine",
    "bench.environment bench.comparison bench.dbt_command",
    "bench.results bench.tables",
    "bench.generate",
    "bench.queries",
    "bench.tune bench.many bench.compare",
    "bench.scale",
    "bench.page",
    "bench.demo",
    "bench.cli",
    "bench.__main__",
)
# The command line imports its commands, the package offers run_queries to whoever asks for it.
ROOT = "bench"
PACKAGES = ("bench", "loaders")


def modules() -> dict[str, Path]:
    """Return the path of every module by its name."""
    found = {}
    for package in PACKAGES:
        for path in (REPOSITORY / package).rglob("*.py"):
            parts = path.relative_to(REPOSITORY).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(module: str) -> set[str]:
    """Return the modules of ours that a module imports, wherever in its text; all its imports are absolute."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} has a relative import"
            submodules = {f"{node.module}.{name.name}" for name in node.names} & MODULES.keys()
            # `from package import module` imports the module; any other name is the package's own.
            found |= submodules or {str(node.module)}
    return found & MODULES.keys() - {module}


def room(module: str) -> str:
    """Return the part of bench that a module belongs to: bench.queries.run to bench.queries."""
    return ".".join(module.split(".")[:2])


def test_every_module_of_bench_has_a_place_in_the_order() -> None:
    placed = {name for line in ORDER for name in line.split()}
    assert {room(module) for module in MODULES if module.startswith("bench.")} == placed


def test_loaders_imports_nothing_of_bench() -> None:
    reversed_ = {
        (module, other)
        for module in MODULES
        if module.startswith("loaders")
        for other in imports(module)
        if other.split(".")[0] == ROOT
    }
    assert reversed_ == set()


def test_bench_imports_only_downward() -> None:
    level = {name: number for number, line in enumerate(ORDER) for name in line.split()}
    upward = {
        (module, other)
        for module in MODULES
        if module.startswith("bench.")
        for other in imports(module)
        if other.startswith("bench") and room(other) != room(module)
        if other == ROOT or level[room(other)] > level[room(module)]
    }
    assert upward == set()


@pytest.mark.parametrize("package", ["bench", "loaders"])
def test_no_import_goes_in_a_circle(package: str) -> None:
    graph = {module: imports(module) - {ROOT} for module in MODULES if module.split(".")[0] == package}
    graph.pop(ROOT, None)  # the package imports run_queries when that is asked for, and nothing of bench imports it
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
