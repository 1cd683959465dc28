"""`declare` from a real file to green models, with plain commands and no edit in between."""

from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest

from loaders.connection import Address
from tests.project.own_project import OwnProject, as_ndjson, copy_project, package_file

VEGA = "vega_datasets/_data"


@dataclass(frozen=True)
class RealFile:
    """A file that nobody here wrote, and how it is declared; `array` is a JSON array, landed a document a line."""

    name: str
    path: str
    key: str = ""
    by: str = ""
    array: bool = False
    types: dict[str, str] = field(default_factory=dict)

    def bronze(self, project: OwnProject) -> str:
        source, _, table = self.name.partition(".")
        suffix = ".jsonl" if self.array else "".join(Path(self.path).suffixes)
        data = package_file(self.path)
        return project.write(f"{source}/{table}{suffix}", as_ndjson(data) if self.array else data.read_bytes())


FEW = [
    RealFile("vega.stocks", f"{VEGA}/stocks.csv", by="symbol", types={"date": "date", "price": "numeric"}),
    RealFile("vega.weather", f"{VEGA}/seattle-weather.csv", key="date", by="weather", types={"date": "date"}),
    RealFile("cars.cars", f"{VEGA}/cars.json", key="Name,Year,Weight_in_lbs", by="Origin", array=True),
    RealFile("altair.files", "altair/datasets/_metadata/metadata.csv.gz", types={"is_image": "boolean"}),
]
MORE = [
    RealFile("vega.airports", f"{VEGA}/airports.csv", by="state"),
    RealFile("vega.iowa", f"{VEGA}/iowa-electricity.csv", key="year,source", by="source"),
    RealFile("vega.la_riots", f"{VEGA}/la-riots.csv", key="first_name,last_name", by="race", types={"age": "integer"}),
    RealFile("vega.seattle_temps", f"{VEGA}/seattle-temps.csv", types={"date": "timestamp with time zone"}),
    RealFile("vega.sf_temps", f"{VEGA}/sf-temps.csv", types={"date": "timestamp with time zone"}),
    RealFile("vega.employment", f"{VEGA}/us-employment.csv", types={"month": "date", "nonfarm": "integer"}),
    RealFile("dbt.seed_bom", "dbt/tests/adapter/simple_seed/seed_bom.csv", types={"seed_id": "integer"}),
    RealFile("numpy.tan", "numpy/_core/tests/data/umath-validation-set-tan.csv", types={"ulperrortol": "integer"}),
    RealFile("numpy.exp", "numpy/_core/tests/data/umath-validation-set-exp.csv"),
    RealFile("json.barley", f"{VEGA}/barley.json", array=True, by="site"),
    RealFile("json.burtin", f"{VEGA}/burtin.json", array=True),
    RealFile("json.crimea", f"{VEGA}/crimea.json", array=True),
    RealFile("json.driving", f"{VEGA}/driving.json", array=True, types={"miles": "integer"}),
    RealFile("json.ohlc", f"{VEGA}/ohlc.json", array=True),
    RealFile("json.wheat", f"{VEGA}/wheat.json", array=True),
]
# Without a key of their own: declare has to ask.
ASKED = [RealFile("json.iris", f"{VEGA}/iris.json", array=True)]


@pytest.fixture
def own(tmp_path: Path, address: Address) -> OwnProject:
    return copy_project(tmp_path / "own", address, samples=False)


def declare(project: OwnProject, file: RealFile) -> list[str]:
    """Declare a file and return the arguments of the load that comes next."""
    arguments = [file.bronze(project), "--name", file.name]
    for option, columns in (("--key", file.key), ("--by", file.by)):
        arguments += [option, columns] if columns else []
    said = project.succeed("declare", *arguments).splitlines()
    command = said[said.index("next:") + 1].split()
    assert command[:3] == ["python", "-m", "loaders"]
    return command[3:]


def check_built(project: OwnProject, files: list[RealFile], connection: psycopg.Connection) -> None:
    """Load and build without an edit or a warning, and see that no record and no value is missing."""
    for load in [declare(project, file) for file in files]:
        project.succeed(*load)
    project.dbt.succeed("build")
    for file in files:
        source, _, table = file.name.partition(".")
        landed = connection.execute(f"select count(*) from staging.{source}__{table}").fetchone()
        assert connection.execute(f"select count(*) from core.{source}_{table}").fetchone() == landed, file.name
        assert landed is not None
        assert landed[0] > 0
        types = dict(
            connection.execute(
                "select column_name::text, data_type::text from information_schema.columns "
                "where table_schema = 'core' and table_name = %s",
                [f"{source}_{table}"],
            ).fetchall()
        )
        assert types | file.types == types, file.name


def test_few_real_files_build_without_an_edit(own: OwnProject, connection: psycopg.Connection) -> None:
    check_built(own, FEW, connection)
    query = "select date::text, price::text from core.vega_stocks where symbol = 'MSFT' order by date"
    assert connection.execute(query).fetchone() == ("2000-01-01", "39.81")
    assert connection.execute("select sum(row_count)::int from marts.vega_weather_by_weather").fetchone() == (1461,)
    # Nothing is pending: the second build is an increment of nothing, and as green.
    own.dbt.succeed("build")


@pytest.mark.slow
def test_twenty_real_files_build_without_an_edit(own: OwnProject, connection: psycopg.Connection) -> None:
    files = [*FEW, *MORE]
    assert len(files) + len(ASKED) == 20
    for file in ASKED:
        done = own.run("declare", file.bronze(own), "--name", file.name)
        assert done.returncode == 1
        assert "--key COLUMN" in done.stderr
    check_built(own, files, connection)


AWKWARD = (
    'Order;"group";Größe;9th;betrag;datum;anteil;leer\n'
    '1;"a;b";1.5;x;1.234,56;31.12.2025;12,5 %;\n'
    '2;"say ""hi""";NA;y;-7,00;1.1.2026;3 %;\n'
)


def test_awkward_names_and_spellings(own: OwnProject, connection: psycopg.Connection) -> None:
    path = own.write("shop2/a.csv", AWKWARD)
    own.succeed("declare", path, "--name", "shop2.orders", "--key", "Order", "--by", "group,9th")
    own.succeed("load", "shop2.orders")
    own.dbt.succeed("build", "--select", "source:shop2+")
    rows = connection.execute(
        'select "order", "group", größe::text, _9th, betrag::text, datum::text, anteil::text, leer '
        "from core.shop2_orders order by 1"
    ).fetchall()
    assert rows == [
        (1, "a;b", "1.5", "x", "1234.56", "2025-12-31", "0.125", None),
        (2, 'say "hi"', None, "y", "-7.00", "2026-01-01", "0.03", None),
    ]
    assert connection.execute("select * from marts.shop2_orders_by_group_and__9th").fetchall() != []


def test_the_latest_version_wins_in_any_order(own: OwnProject, connection: psycopg.Connection) -> None:
    """In one file by position, between files by load; an increment ends where a full refresh does."""
    path = own.write("nyc/1.csv", "id,v\n1,old\n2,first\n2,second\n,nobody\n")
    own.succeed("declare", path, "--name", "nyc.rows", "--key", "id", "--path", "nyc/*.csv")
    own.succeed("load")
    own.dbt.succeed("build")
    own.write("nyc/2.csv", "id,v,added\n1,new,1\n3,third,2\n")
    own.succeed("load")
    own.dbt.succeed("build")
    query = "select id, v from core.nyc_rows order by id"
    expected = [(1, "new"), (2, "second"), (3, "third")]
    assert connection.execute(query).fetchall() == expected
    own.dbt.succeed("run", "--full-refresh")
    assert connection.execute(query).fetchall() == expected


def test_lost_values_beyond_the_limit_fail_the_build(own: OwnProject) -> None:
    """What the sample lost is declared and allowed; one more is an error that names the test."""
    path = own.write("nyc/1.csv", "id,age\n" + "".join(f"{number},{number}\n" for number in range(200)) + "900,old\n")
    said = own.succeed("declare", path, "--name", "nyc.ages", "--key", "id", "--path", "nyc/*.csv")
    assert "max_cast_failures: 1" in said
    own.succeed("load")
    own.dbt.succeed("build")
    own.write("nyc/2.csv", "id,age\n901,older\n902,oldest\n")
    assert own.run("declare", "data/bronze/nyc/2.csv", "--update").returncode == 1
    own.succeed("load")
    done = own.dbt.run("build")
    assert done.returncode == 1
    assert "declared_casts_keep_values_nyc__ages" in done.stdout


def test_a_first_build_that_cannot_work_says_what_to_do(own: OwnProject, connection: psycopg.Connection) -> None:
    path = own.write("nyc/1.csv", "id,v\n1,a\n")
    own.succeed("declare", path, "--name", "nyc.rows", "--key", "id")
    own.write("nyc/2.csv", "id,v\n1,a\n")
    said = own.dbt.run("build").stdout
    assert "The ledger (schema ops) is missing" in said
    assert "python -m loaders load" in said

    own.succeed("declare", "data/bronze/nyc/2.csv", "--name", "nyc.later", "--key", "id")
    own.succeed("load", "nyc.rows")
    connection.execute("drop table staging.nyc__later")
    said = own.dbt.run("build", "--select", "source:nyc+").stdout
    assert "No file of nyc.later has landed yet: run `python -m loaders load nyc.later` first." in said

    own.succeed("load", "nyc.later")
    said = own.dbt.run("run", "--select", "nyc_later").stdout
    assert "is not built yet: run `dbt build --select +nyc_later`" in said

    contract = own.text("models/core/nyc_later.yml")
    kept = contract.read_text()
    contract.write_text(kept.replace("- name: v\n", "- name: gate\n"))
    said = own.dbt.run("build", "--select", "+nyc_later").stdout
    assert "The contract of nyc_later lists gate" in said
    assert "run `dbt build --full-refresh --select +nyc_later`" in said
    contract.write_text("models:\n  - name: nyc_later\n    config: {contract: {enforced: false}}\n")
    assert "list its columns" in own.dbt.run("build", "--select", "+nyc_later").stdout
    contract.write_text("models:\n  - name: nyc_later\n    description: One row per id.\n")
    # dbt's own words, which docs/adding-a-source.md explains: no macro is asked before.
    assert "Constraints must be defined" in own.dbt.run("build", "--select", "+nyc_later").stdout
    contract.write_text(kept)
    own.dbt.succeed("build", "--select", "+nyc_later")

    misplaced = own.text("models/nyc.yml")
    own.text("models/staging/nyc/_nyc__sources.yml").rename(misplaced)
    done = own.run("load", "nyc.rows")
    assert done.returncode == 1
    assert "Move it to models/staging/nyc/_nyc__sources.yml." in done.stderr


def test_the_whole_project_builds_after_the_first_load_of_one_source(tmp_path: Path, address: Address) -> None:
    project = copy_project(tmp_path / "own", address, samples=True)
    path = project.write("nyc/1.csv", "id,v\n1,a\n")
    project.succeed("declare", path, "--name", "nyc.rows", "--key", "id")
    project.succeed("load", "nyc.rows")
    project.dbt.succeed("build", "--exclude", "resource_type:unit_test")


def test_the_samples_can_be_set_aside(own: OwnProject) -> None:
    path = own.write("nyc/1.csv", "id,v\n1,a\n")
    own.write("people/people.csv", "id,name\n1,Ana\n")
    own.succeed("declare", path, "--name", "nyc.rows", "--key", "id", "--by", "v")
    assert own.succeed("load").count("load 1: 1 file") == 1
    listed = own.dbt.run("ls", "--resource-type", "model", "--resource-type", "seed", "--resource-type", "unit_test")
    names = [line.rpartition(".")[2] for line in listed.stdout.splitlines() if line.startswith("ingot.")]
    assert sorted(names) == ["nyc_rows", "nyc_rows_by_v", "stg_nyc__rows"]
    done = own.run("load", "people.persons")
    assert done.returncode == 1


UNIT_TESTS = """
unit_tests:
  - name: the_latest_version_wins
    description: The version decides, whatever the load.
    model: nyc_rows
    overrides:
      macros: {is_incremental: false, ingot.pending_loads: "true"}
    given:
      - input: ref('stg_nyc__rows')
        rows:
          - {id: 1, v: earlier, _load_id: 2, _version: 1}
          - {id: 1, v: later, _load_id: 1, _version: 2}
          - {id: 2, v: only, _load_id: 1, _version: 3}
    expect:
      rows:
        - {id: 1, v: later}
        - {id: 2, v: only}
  - name: casts_are_declared
    description: A unit test knows no source, so it is told the columns.
    model: stg_nyc__rows
    overrides:
      macros:
        complete_loads_only: "true"
        file_versions: "select 1 as _file_id, '' as _run_id, 1 as _first_load_id, 1 as _file_rank"
        ingot.declared_columns: [{name: id, cast: "id::integer"}, {name: v, cast: v}]
    given:
      - input: source('nyc', 'rows')
        rows:
          - {id: "7", v: a, _file_id: 1}
    expect:
      rows:
        - {id: 7, v: a}
"""


def test_unit_tests_parse_and_docs_work_on_declared_models(own: OwnProject) -> None:
    own.succeed("declare", own.write("nyc/1.csv", "id,v\n1,a\n"), "--name", "nyc.rows", "--key", "id")
    contract = own.text("models/core/nyc_rows.yml")
    contract.write_text(contract.read_text() + UNIT_TESTS)
    own.dbt.succeed("parse")
    own.succeed("load")
    own.dbt.succeed("build")
    own.dbt.succeed("run", "--empty")
    own.dbt.succeed("docs", "generate")
