import random
from typing import Any

import pytest

from bench.errors import ProjectError, UnknownQuery
from bench.queries.benchmarks import Benchmark, choose, read_benchmarks

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
    assert found[0].every_argument(seed=1) == [(22,), (23,)]


@pytest.mark.parametrize(
    "declared",
    [
        {"question": "older", "layer": "mart"},
        {"layer": "mart", "parameters": [AGE]},
        {"question": "older", "layer": "mart", "parameters": [{"name": "age"}]},
        {"question": "older", "layer": "mart", "parameters": [AGE | {"max": "many"}]},
        {"question": "older", "layer": "mart", "parameters": [AGE | {"max": 2**63, "min": -(2**63)}]},
        {"question": "older", "layer": "mart", "parameters": [AGE | {"type": "text"}]},
        {"question": "older", "layer": "mart", "parameters": [{"name": "role", "type": "text", "values": []}]},
        {"question": "older", "layer": "mart", "parameters": [{"name": "role", "type": "text", "values": "mage"}]},
        {"question": "older", "layer": "mart", "parameters": [{"name": "role", "type": "date", "values": ["2024"]}]},
        {"question": "older", "layer": "mart", "parameters": [AGE | {"max": 1}]},
    ],
)
def test_a_wrong_declaration_names_the_file(declared: dict[str, Any]) -> None:
    with pytest.raises(ProjectError, match=r"^analyses/wrong\.sql: "):
        read_benchmarks(manifest(wrong=declared))


def test_parameters_are_numbers_or_texts_or_none() -> None:
    role = {"name": "role", "type": "text", "values": ["mage", "warrior"]}
    (both,) = read_benchmarks(manifest(a=older("mart") | {"parameters": [AGE, role]}))
    every = [(22, "mage"), (22, "warrior"), (23, "mage"), (23, "warrior")]
    assert both.every_argument(seed=1) == every
    assert set(both.draws(100, random.Random(1))) == set(every)
    (none,) = read_benchmarks(manifest(a=older("mart") | {"parameters": []}))
    assert (none.every_argument(seed=1), none.draws(2, random.Random(1))) == ([()], [(), ()])


def test_large_spaces_of_arguments_are_sampled_by_seed() -> None:
    (wide,) = read_benchmarks(manifest(a=older("mart") | {"parameters": [AGE | {"max": 10**15}]}))
    sample = wide.every_argument(seed=1)
    assert 900 < len(set(sample)) == len(sample) <= 1000
    assert sample == wide.every_argument(seed=1) != wide.every_argument(seed=2)


def test_what_an_analysis_reads_is_known() -> None:
    known = manifest(a=older("mart"))
    known["nodes"]["a"]["depends_on"] = {"nodes": ["model.x.people", "source.x.raw"]}
    known["nodes"]["model.x.people"] = {"resource_type": "model", "schema": "core", "name": "p", "alias": "people"}
    known["sources"] = {"source.x.raw": {"schema": "staging", "name": "raw", "identifier": "people__raw"}}
    assert read_benchmarks(known)[0].reads == (("core", "people"), ("staging", "people__raw"))


def test_choose() -> None:
    known: list[Benchmark] = read_benchmarks(manifest(a=older("mart"), b=older("core")))
    assert choose(known, []) == known
    assert [one.name for one in choose(known, ["a"])] == ["a"]
    with pytest.raises(UnknownQuery, match=r"'c'\. Known: a, b\.$"):
        choose(known, ["a", "c"])
