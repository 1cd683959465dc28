"""What surrounds a measurement: tables behind views and partitions, a control group's limits."""

from pathlib import Path

import psycopg
import pytest

from bench.environment import TableSize, read_circumstances
from bench.machine import LIMITS, read_limits
from loaders.connection import Address


def test_a_view_stands_for_its_tables_and_partitions_for_one(address: Address, connection: psycopg.Connection) -> None:
    connection.execute("""
        create schema core;
        create table core.people (id int, age int);
        insert into core.people select i, i from generate_series(1, 500) as i;
        create table core.raw (id int) partition by range (id);
        create table core.raw_0 partition of core.raw for values from (0) to (100);
        create table core.raw_1 partition of core.raw for values from (100) to (300);
        insert into core.raw select i from generate_series(0, 299) as i;
        create view core.inner_view as select id from core.raw;
        create view core.outer_view as select id from core.inner_view natural join core.people;
        create table core.unread (id int);
    """)
    connection.execute("analyze core.people")
    connection.execute("analyze core.raw")
    here = read_circumstances(address, tables={("core", "outer_view")}, queries={"a": "select 1"})
    assert {name: size.rows for name, size in here.tables.items()} == {"core.people": 500, "core.raw": 300}
    assert here.tables["core.raw"].bytes == 2 * 8192
    assert here.queries == {"a": "822ae07d4783"}
    assert {"wal_level", "max_wal_size", "maintenance_work_mem", "autovacuum"} <= here.server.settings.keys()
    assert {"psycopg", "asyncpg", "libpq"} <= here.clients.keys()
    assert here.load_average is not None
    assert read_circumstances(address).tables == {}


def test_sizes_are_alike_but_for_estimates_and_dead_rows() -> None:
    size = TableSize(1000, 10**6)
    assert size.is_like(TableSize(1010, 12 * 10**5))
    assert not size.is_like(TableSize(1100, 10**6))
    assert not size.is_like(TableSize(1000, 2 * 10**6))


@pytest.mark.parametrize(
    ("own", "files", "expected"),
    [
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "150000 100000", "memory.max": "max"}, "cpu.max"),
        ("4:memory:/x\n2:cpuacct,cpu:/\n", {"memory/x/memory.limit_in_bytes": "1073741824"}, "memory.limit_in_bytes"),
        ("2:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1"}, None),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, None),
    ],
)
def test_the_limits_of_a_control_group(tmp_path: Path, own: str, files: dict[str, str], expected: str | None) -> None:
    for name, text in files.items():
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    (tmp_path / "cgroup").write_text(own)
    found = read_limits(tmp_path / "root", tmp_path / "cgroup")
    assert list(found) == ([] if expected is None else [expected])
    assert found.keys() <= {name for names in LIMITS.values() for name in names}


def test_no_control_group_has_no_limits(tmp_path: Path) -> None:
    assert read_limits(tmp_path, tmp_path / "none") == {}
