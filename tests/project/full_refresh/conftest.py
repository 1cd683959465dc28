"""core.items, a model of a scratch project, built in a database of each test's own, and what stands on it."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from string import Template

import psycopg
import pytest
from dbt.contracts.graph.manifest import Manifest

from bench.compare.scratch_project import write_scratch_project
from loaders.connection import Address, connect
from loaders.server import LocalServer
from tests.project.conftest import Dbt, Done

# What stands in the file, so that dbt parses this model alone where it changes; what is var() is read by a run.
ITEMS = Template("""
{{ config(
    materialized=$materialized,
    incremental_strategy='upsert',
    unique_key=$unique_key,
    indexes=[{'columns': ['item_id'], 'unique': true}, {'columns': ['color']}],
    on_schema_change='fail',
    meta={'full_refresh_mode': $mode, 'swap_patience_seconds': $patience, 'fillfactor': $fillfactor},
    pre_hook=$pre_hook,
    post_hook=$post_hook,
) }}
select {{ var('columns', '*') }} from public.raw_items
""")
CONTRACT = Template("""
models:
  - name: items
    config: {contract: {enforced: $contract}}
    constraints: [{type: check, expression: item_id > 0, name: item_id_is_positive}]
    columns:
      - {name: item_id, data_type: $key_type, constraints: [{type: not_null}]}
      - {name: color, data_type: text, constraints: [{type: check, expression: length(color) < 9}]}
      - {name: price, data_type: "numeric(10,2)"}
""")
IN_FILES: dict[str, object] = {
    "mode": "swap",
    "materialized": "incremental",
    "unique_key": "item_id",
    "patience": 5,
    "fillfactor": False,
    "pre_hook": [],
    "post_hook": [],
    "contract": True,
    "key_type": "bigint",
}
RAW = """
    create table public.raw_items as
    select i::bigint as item_id, 'red'::text as color, (i * 1.005)::numeric(10, 2) as price
    from generate_series(1, 1000) as i
"""
MATERIALIZED = pytest.mark.parametrize("materialized", ["incremental", "table"])
MODE = pytest.mark.parametrize("mode", ["swap", "difference", "in_place"])


class Items:
    """core.items, built by dbt from public.raw_items, and what stands on it."""

    def __init__(self, dbt: Dbt, connection: psycopg.Connection, manifests: dict[str, Manifest]) -> None:
        self.dbt = dbt
        self.connection = connection
        self.manifests = manifests

    def refresh(self, **variables: object) -> str:
        return self.dbt.succeed(*self.command(variables))

    def run(self, **variables: object) -> Done:
        return self.dbt.run(*self.command(variables))

    def fail(self, **variables: object) -> str:
        done = self.run(**variables)
        assert done.returncode == 1, done.stdout
        return done.stdout

    def rows(self, relation: str = "core.items") -> list[tuple[object, ...]]:
        return self.connection.execute(f"select * from {relation} order by 1").fetchall()

    def table_id(self) -> object:
        return self.connection.execute("select 'core.items'::regclass::oid").fetchall()

    def surroundings(self) -> list[list[tuple[object, ...]]]:
        """All that a full refresh should leave as it was."""
        queries = [
            "select relname, relkind, relowner::regrole::text, relacl::text, reloptions, obj_description(oid) "
            "from pg_class where relnamespace in ('core'::regnamespace, 'other'::regnamespace) "
            "and relkind in ('r', 'v') order by relname",
            "select attname, attacl::text, col_description(attrelid, attnum), attstattarget, attoptions, attstorage "
            "from pg_attribute where attrelid = 'core.items'::regclass and attnum > 0 order by attnum",
            "select viewname, definition from pg_views where schemaname in ('core', 'other') order by 1",
            "select stxname, stxkeys::text, obj_description(oid) from pg_statistic_ext",
        ]
        return [self.connection.execute(query).fetchall() for query in queries]

    def command(self, variables: dict[str, object]) -> list[str]:
        """Write the model and return the command, its project parsed once for each choice of what is in its files."""
        chosen = {name: json.dumps(variables.get(name, default)) for name, default in IN_FILES.items()}
        for name, template in (("items.sql", ITEMS), ("items.yml", CONTRACT)):
            (self.dbt.project / "models" / name).write_text(template.substitute(chosen))
        choice = json.dumps(chosen)
        if choice not in self.manifests:
            self.manifests[choice] = self.dbt.parse()
        self.dbt.manifest = self.manifests[choice]
        late = {name: value for name, value in variables.items() if name not in IN_FILES}
        return ["run", "--full-refresh", "--select", "items", "--vars", json.dumps(late)]


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("items")
    write_scratch_project(folder, {})
    (folder / "models").mkdir()
    return folder


@pytest.fixture(scope="session")
def manifests() -> dict[str, Manifest]:
    return {}


@pytest.fixture(scope="module")
def built(server: LocalServer, server_version: int, project: Path, manifests: dict[str, Manifest]) -> Iterator[str]:
    """The name of a database with core.items built, for every test to start from a copy of."""
    address = replace(server.superuser_address, database="project")
    with connect(server.superuser_address) as connection:
        connection.execute("drop database if exists project with (force)")
        connection.execute("create database project")
        with connect(address) as own:
            own.execute(RAW)
            Items(Dbt(address, project, project), own, manifests).refresh()
        connection.execute("alter database project rename to items_built")
        yield "items_built"
        connection.execute("drop database items_built with (force)")


@pytest.fixture
def address(server: LocalServer, built: str) -> Address:
    address = replace(server.superuser_address, database="project")
    with connect(server.superuser_address) as connection:
        connection.execute("drop database if exists project with (force)")
        connection.execute(f"create database project template {built}")
    return address


@pytest.fixture
def items(address: Address, connection: psycopg.Connection, project: Path, manifests: dict[str, Manifest]) -> Items:
    return Items(Dbt(address, project, project), connection, manifests)


@pytest.fixture
def roles(connection: psycopg.Connection) -> Iterator[None]:
    connection.execute("create role owner_of_items; create role reader; create role clerk")
    yield
    connection.execute("drop owned by owner_of_items, reader, clerk cascade")
    connection.execute("drop role owner_of_items, reader, clerk")


@pytest.fixture
def surrounded(items: Items, roles: None) -> Items:
    """Views on views, in another schema, of another owner, with options; grants, comments, storage parameters."""
    items.connection.execute("""
        create schema other;
        alter default privileges in schema core grant select on tables to clerk;
        alter table core.items set (autovacuum_vacuum_scale_factor = 0.05);
        create view other.red with (security_barrier, check_option = local) as
            select item_id as number, color, price from core.items where color = 'red';
        alter view other.red alter column color set default 'red';
        create view core.red_count as select count(*) as n, sum(price) as total from other.red;
        create view core.paired (item_id, again) as
            select a.item_id, b.number from core.items as a join other.red as b on b.number = a.item_id;
        create materialized view other.counted as select * from core.red_count;
        grant usage on schema core, other to reader;
        grant select on core.items to reader with grant option;
        grant select (color), update (price) on core.items to clerk;
        revoke select on core.items from clerk;
        grant select (color) on core.items to clerk;
        grant select on other.red to reader, public;
        comment on table core.items is 'It''s what we sell';
        comment on column core.items.color is 'As painted';
        comment on view other.red is 'Red ones';
        grant create, usage on schema core to owner_of_items;
        grant usage on schema other to owner_of_items;
        grant select on core.items, other.red to owner_of_items;
        alter view core.paired owner to owner_of_items;
    """)
    return items
