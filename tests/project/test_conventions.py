"""The rules of the house that a machine can check, read from dbt's manifest; a failure names all offenders."""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from dbt.contracts.graph.manifest import Manifest

from tests.conftest import REPOSITORY
from tests.project.conftest import without_warnings

Node = Mapping[str, Any]
Nodes = Mapping[str, Node]

LAYERS = {"staging": {"source"}, "core": {"staging", "core", "seed"}, "marts": {"core", "marts", "seed"}}
MAX_NAME_LENGTH = 40
# PostgreSQL's longest identifier; dbt cuts a test's longer name and puts a hash behind it.
MAX_TEST_NAME_LENGTH = 63


@pytest.fixture(scope="module")
def nodes(parsed: Manifest) -> Nodes:
    """The project's nodes and sources by id, as manifest.json has them."""
    manifest = parsed.writable_manifest().to_dict()
    return {**manifest["nodes"], **manifest["sources"]}


def of_type(nodes: Nodes, resource_type: str) -> Iterator[Node]:
    return (node for node in nodes.values() if node["resource_type"] == resource_type)


def layer(node: Node) -> str:
    """The folder that a model is in, and what else a model can read."""
    kind: str = node["resource_type"]
    return str(node["path"]).split("/")[0] if kind == "model" else kind


def is_in_a_layer(model: Node, _: Nodes) -> bool:
    return layer(model) in LAYERS


def has_a_short_name(model: Node, _: Nodes) -> bool:
    return len(model["name"]) <= MAX_NAME_LENGTH


def is_named_for_its_layer(model: Node, _: Nodes) -> bool:
    return model["name"].startswith("stg_") == (layer(model) == "staging")


def is_in_the_folder_of_its_subject(model: Node, _: Nodes) -> bool:
    subject = model["name"].removeprefix("stg_").split("_")[0]
    return layer(model) == "core" or model["path"].split("/")[1] == subject


def says_its_grain(model: Node, _: Nodes) -> bool:
    return bool(model["description"].startswith("One row per "))


def describes_its_columns(model: Node, _: Nodes) -> bool:
    return all(column["description"] for column in model["columns"].values())


def is_tested(model: Node, nodes: Nodes) -> bool:
    return model["unique_id"] in {test.get("attached_node") for test in of_type(nodes, "test")}


def enforces_a_contract(model: Node, _: Nodes) -> bool:
    return layer(model) == "staging" or bool(model["config"]["contract"]["enforced"])


def has_a_key(model: Node, _: Nodes) -> bool:
    return layer(model) == "staging" or any(index.get("unique") for index in model["config"].get("indexes") or [])


def is_compared_with_what_landed(model: Node, nodes: Nodes) -> bool:
    tests = of_type(nodes, "test")
    return layer(model) != "core" or any(
        test["attached_node"] == model["unique_id"] and test["test_metadata"]["name"] == "has_the_records_landed"
        for test in tests
        if test.get("attached_node")
    )


def reads_the_layers_below(model: Node, nodes: Nodes) -> bool:
    return {layer(nodes[parent]) for parent in model["depends_on"]["nodes"]} <= LAYERS[layer(model)]


@pytest.mark.parametrize(
    "keeps",
    [
        is_in_a_layer,
        has_a_short_name,
        is_named_for_its_layer,
        is_in_the_folder_of_its_subject,
        says_its_grain,
        describes_its_columns,
        is_tested,
        is_compared_with_what_landed,
        enforces_a_contract,
        has_a_key,
        reads_the_layers_below,
    ],
    ids=lambda rule: rule.__name__,
)
def test_every_model(nodes: Nodes, keeps: Callable[[Node, Nodes], bool]) -> None:
    models = list(of_type(nodes, "model"))
    assert models
    assert [model["name"] for model in models if not keeps(model, nodes)] == []


def test_a_table_that_is_read_twice_is_not_copied(nodes: Nodes) -> None:
    """It is imported `as not materialized`: PostgreSQL would copy it into a temporary file."""
    imports, copied = 0, []
    for node in (*of_type(nodes, "model"), *of_type(nodes, "test")):
        for name in re.findall(r"(\w+) as (?:materialized )?\(\s*select \* from \{\{ ref\(", node["raw_code"]):
            imports += 1
            if len(re.findall(rf"\b(?:from|join)\s+{name}\b", node["raw_code"])) > 1:
                copied.append((node["name"], name))
    assert imports > 20
    assert copied == []


@pytest.mark.parametrize("needed", ["description", "loaded_at_query", "bronze"])
def test_every_source_table_declares(nodes: Nodes, needed: str) -> None:
    sources = [
        source for source in of_type(nodes, "source") if source["source_name"] != "ops" or needed == "description"
    ]
    assert sources
    declared = {source["unique_id"]: source | source["config"]["meta"] for source in sources}
    assert [name for name, source in declared.items() if not source.get(needed)] == []


def is_short(name: str) -> bool:
    return len(name) <= MAX_TEST_NAME_LENGTH


def holds_no_rendered_call(name: str) -> bool:
    """dbt puts a test's arguments into its name: `ref('people')` ends as `ref_people_`."""
    return not re.search("_(ref|source)_.*_$", name)


@pytest.mark.parametrize("keeps", [is_short, holds_no_rendered_call], ids=lambda rule: rule.__name__)
def test_every_data_test_has_a_name_that_can_be_read(nodes: Nodes, keeps: Callable[[str], bool]) -> None:
    tests = list(of_type(nodes, "test"))
    assert tests
    assert [test["name"] for test in tests if not keeps(test["name"])] == [], "give them a `name:`"


def test_a_text_that_recurs_is_a_doc_block(nodes: Nodes) -> None:
    """Of models, seeds, sources and their columns: dbt renders doc() in these, and not in unit tests."""
    described = [one for node in nodes.values() for one in (node, *node.get("columns", {}).values())]
    texts = Counter(one["description"] for one in described if one.get("description") and not one["doc_blocks"])
    assert [text for text, count in texts.items() if count >= 3] == []


def test_every_macro_of_the_project_is_described(parsed: Manifest) -> None:
    private = ("default__", "postgres__", "duckdb__", "test_", "materialization_")
    macros = [one for one in parsed.macros.values() if one.package_name == "ingot" and not one.name.startswith(private)]
    assert macros
    assert [macro.name for macro in macros if not macro.description] == []


def test_macros_call_one_another_by_the_name_of_the_package(parsed: Manifest) -> None:
    """In a project that has them as a package, dbt looks up a plain name among that project's macros and its own."""
    ours = [one for one in parsed.macros.values() if one.package_name == "ingot"]
    # These have a plain name in every project, and a unit test may override is_incremental by it.
    names = {one.name for one in ours} - {"generate_schema_name", "is_incremental"}
    plain = re.compile(rf"(?<![\w.'\"])({'|'.join(sorted(names))})(?=\()")
    beside = re.compile(r"\{#.*?#\}|\{%-? *(macro|test|materialization) .*?%\}", re.DOTALL)
    found = {one.name: {call[1] for call in plain.finditer(beside.sub("", one.macro_sql))} for one in ours}
    assert {name: calls for name, calls in found.items() if calls} == {}


def test_a_parse_warns_of_nothing(parsing: tuple[Manifest, str]) -> None:
    without_warnings(parsing[1])


def test_no_path_of_a_machine_and_no_index_is_committed() -> None:
    listed = (REPOSITORY / "requirements.lock").read_text()
    assert "://" not in listed
    assert "--hash=sha256:" in listed
