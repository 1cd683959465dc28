from typing import Any

import pytest

from bench.benchmarks import Benchmark, choose, read_benchmarks
from bench.errors import ProjectError, UnknownQuery

AGE = {"name": "age", "type": "integer", "min": 22, "max": 23}


def manifest(**declared: Any) -> dict[str, Any]:
    nodes = {
        name: {
            "resource_type": "analysis",
            "name": name,
            "original_file_path": f"analyses/{name}.sql",
            "compiled_code": "select 1 where 1 = $1;\n",
            "config": {"meta": {"benchmark": benchmark} if benchmark else {}},
        }
        for name, benchmark in declared.items()
    }
    return {"nodes": nodes | {"model": {"resource_type": "model"}}}


def older(layer: str) -> dict[str, Any]:
    return {"question": "older", "layer": layer, "parameters": [AGE]}


def test_only_declared_analyses_are_benchmarks_in_the_order_of_layers() -> None:
    found = read_benchmarks(manifest(a=older("mart"), b=older("core"), c=None, d=older("staging")))
    assert [one.name for one in found] == ["d", "b", "a"]
    assert found[0].sql == "select 1 where 1 = $1"
    assert list(found[0].every_argument()) == [(22,), (23,)]


@pytest.mark.parametrize(
    "declared",
    [
        {"question": "older", "layer": "mart"},
        {"layer": "mart", "parameters": [AGE]},
        {"question": "older", "layer": "mart", "parameters": [{"name": "age"}]},
        {"question": "older", "layer": "mart", "parameters": [AGE | {"max": "many"}]},
        {"question": "older", "layer": "mart", "parameters": [AGE | {"type": "text"}]},
        {"question": "older", "layer": "mart", "parameters": [AGE | {"max": 1}]},
    ],
)
def test_a_wrong_declaration_names_the_file(declared: dict[str, Any]) -> None:
    with pytest.raises(ProjectError, match=r"^analyses/wrong\.sql: "):
        read_benchmarks(manifest(wrong=declared))


def test_choose() -> None:
    known: list[Benchmark] = read_benchmarks(manifest(a=older("mart"), b=older("core")))
    assert choose(known, []) == known
    assert [one.name for one in choose(known, ["a"])] == ["a"]
    with pytest.raises(UnknownQuery, match=r"'c'\. Known: a, b\.$"):
        choose(known, ["a", "c"])
