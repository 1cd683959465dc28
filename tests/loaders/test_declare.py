"""`declare`: what it sees in a file, what it decides, what it writes and what it asks. No server, no dbt."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import duckdb
import pytest
import yaml
from click.testing import CliRunner, Result

from loaders.__main__ import main
from loaders.declare.declaration import declaration
from loaders.declare.sample import read_sample
from loaders.declare.types import column_types
from loaders.errors import FileError
from loaders.sources import read_sources

Types = dict[str, str]


def types_of(path: Path) -> Types:
    """The types and casts of a file's columns."""
    with read_sample(path) as sample:
        return {
            one.column.name: f"{one.cast.data_type} {one.cast.cast}" if one.cast.cast else one.cast.data_type
            for one in column_types(sample)
        }


def doubts_of(path: Path) -> list[str]:
    with read_sample(path) as sample:
        return [doubt for one in column_types(sample) for doubt in one.doubts]


def column(tmp_path: Path, values: Sequence[str], name: str = "v") -> Path:
    """A file of one column in quotes, and of one that tells the records apart."""
    path = tmp_path / "column.csv"
    lines = [f'{number},"{value}"' for number, value in enumerate(values)]
    path.write_text("\n".join([f"n,{name}", *lines]) + "\n")
    return path


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1", "-7", "+3"], "integer"),
        (["1", "3000000000"], "bigint"),
        (["1", "12345678901234567890123"], "numeric"),
        (["1.5", "2", ".25"], "numeric"),
        (["1e-3", "2.5"], "double precision"),
        (["true", "False"], "boolean"),
        (["yes", "no"], "boolean"),
        (["no", "no"], "text"),  # Norway
        (["0", "1"], "integer"),
        (["02134", "90210"], "text"),  # a postal code
        (["+491712345678", "+491712345679"], "text"),  # a telephone number
        (["2024-02-29", "1999-12-31"], "date"),
        (["2024-02-30", "1999-12-31"], "text"),
        (["2024-02-29 10:00", "2024-02-29T10:00:00Z"], "timestamptz"),
        (["2024/02/29", "2024/2/9"], "date year_first"),
        (["31.12.2025", "1.2.2025"], "date day_first"),
        (["31/12/2025", "01/02/2025"], "date day_first"),
        (["12/31/2025", "01/02/2025"], "date month_first"),
        (["01/02/2025", "03/04/2025"], "text"),  # either
        (["1.2.2025", "3.4.2025"], "date day_first"),  # points are European
        (["12/31/2025 11:59 PM"], "timestamptz month_first"),
        (["Jan 1 2000", "Feb 1 2000"], "date named_month"),
        (["1.234,56", "7"], "numeric decimal_comma"),
        (["1,234,567", "7"], "numeric thousands"),
        (["1,234", "7"], "text"),  # either
        (["12.5%", "3 %"], "numeric percent"),
        (["$1,234.50", "-$3"], "numeric currency"),
        (["550e8400-e29b-41d4-a716-446655440000"], "uuid"),
        (["1735689600", "1735689700"], "integer"),
        (["a", "b"], "text"),
        (["", ""], "text"),
        ([" 7", "8 "], "integer"),
    ],
)
def test_the_type_keeps_every_value(tmp_path: Path, values: Sequence[str], expected: str) -> None:
    if expected == "integer" and values[0].startswith("17356"):
        expected = "bigint"
    assert types_of(column(tmp_path, values))["v"] == expected


def test_a_name_tells_an_epoch_from_a_number(tmp_path: Path) -> None:
    assert types_of(column(tmp_path, ["1735689600"], "created_at"))["created_at"] == "timestamptz epoch_seconds"
    assert types_of(column(tmp_path, ["1735689600123"], "event_time"))["event_time"] == "timestamptz epoch_milliseconds"
    assert types_of(column(tmp_path, ["1735689600"], "population"))["population"] == "bigint"


def test_texts_for_no_value_are_found_where_the_others_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "flights.csv"
    path.write_text("arr_time,country\n" + "930,DE\nNA,NA\n-,FR\n" * 4)
    assert types_of(path) == {"arr_time": "integer", "country": "text"}
    assert doubts_of(path) == ["arr_time: 8 of 12 values are not an integer: '-', 'NA'; declared as null_text"]


def test_a_few_spellings_of_many_values_are_declared_as_failures(tmp_path: Path) -> None:
    path = column(tmp_path, [*map(str, range(1, 300)), "unclear"])
    assert types_of(path)["v"] == "integer"
    assert (
        "1 of 300 values are not an integer ('unclear') and become NULL; declared as max_cast_failures: 1"
        in (doubts_of(path)[0])
    )
    path = column(tmp_path, [*map(str, range(1, 300)), "unclear", "C12", "A1", "B2", "C3", "D4", "E5"])
    assert types_of(path)["v"] == "text"


def test_codes_among_numbers_stay_text(tmp_path: Path) -> None:
    assert types_of(column(tmp_path, [*map(str, range(1000, 1500)), "0123"]))["v"] == "text"


def test_what_a_file_is_written_like_is_found(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes('name;preis\nJosé;1,5\n"a;b";2,25\n'.encode("latin1"))
    with read_sample(path) as sample:
        assert (sample.delimiter, sample.encoding, sample.rows) == (";", "latin1", 2)
        assert sample.connection.execute("select name from sample order by 1").fetchall() == [("José",), ("a;b",)]
    path.write_bytes(gzip.compress("\ufeffid\ttext\n1\tä\n".encode()))
    with read_sample(path) as sample:
        assert (sample.delimiter, sample.encoding, [one.name for one in sample.columns]) == (
            "\t",
            "utf-8",
            ["id", "text"],
        )
    path.write_text("a,b\r\n1,2\n3,4\r\n\n")
    with read_sample(path) as sample:
        assert sample.rows == 2
    path.write_text("a,b,c\n1,2,3\n4,5\n6\n")
    with read_sample(path) as sample:
        assert (sample.delimiter, sample.rows, len(sample.rejected)) == (",", 1, 2)


def test_ndjson_has_a_column_a_field(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    rows = [
        {"id": 1, "isMarried": True, "tags": ["a"], "code": "007", "digits": "12"},
        {"id": 2, "at": "2024-01-01T00:00:00Z", "code": "008", "digits": "13", "isMarried": False},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert types_of(path) == {
        "id": "integer",
        "is_married": "boolean",
        "tags": "jsonb",
        "code": "text",
        "digits": "text",
        "at": "timestamptz",
    }
    assert doubts_of(path) == ["digits: the JSON strings are each an integer ('12', '13'); kept as text"]


def test_a_file_without_a_header(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("1,2\n3,4\n")
    with read_sample(path) as sample:
        assert [column.name for column in sample.columns] == ["column_1", "column_2"]
        assert (sample.has_header, sample.rows) == (False, 2)
        made = declaration(sample, name="a.b", path="x.csv", key=["column_1"], by=[])
    assert any("no header" in doubt for doubt in made.doubts)


def test_quotes_behind_a_backslash(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text('a,b\n"say \\"hi\\"",1\n"say \\"ho\\"",2\n')
    with read_sample(path) as sample:
        assert sample.escape == "\\"
        assert sample.connection.execute("select a from sample").fetchall() == [('say "hi"',), ('say "ho"',)]


def test_names_that_are_missing_or_come_twice(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text(",name,name\n1,a,b\n")
    with read_sample(path) as sample:
        assert [column.name for column in sample.columns] == ["column_1", "name", "name_2"]


@pytest.mark.parametrize("kind", ["parquet", "json"])
def test_files_that_duckdb_reads(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"x.{kind}"
    option = ", array true" if kind == "json" else ""
    rows = "values (1, 'a', [1, 2]), (2, null, null)"
    duckdb.execute(f"copy (from ({rows}) as t (id, \"The Name\", tags)) to '{path}' (format {kind}{option})")
    with read_sample(path) as sample:
        assert sample.format == kind
        assert [column.name for column in sample.columns] == ["id", "the_name", "tags"]
        rows_read = sample.connection.execute("select * exclude (record_number) from sample").fetchall()
        assert rows_read == [("1", "a", "[1,2]"), ("2", None, None)]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PAR1", "cannot be read"),
        (b"PK\x03\x04", "damaged zip archive"),
        (b'[{"a": 1}', "cannot be read"),
        (b"\xff\xfea\0", "Convert it to UTF-8"),
        (b"", "is empty"),
    ],
)
def test_what_cannot_land_is_refused_with_a_remedy(tmp_path: Path, data: bytes, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(data)
    with pytest.raises(FileError, match=message), read_sample(path):
        pass


class Folder:
    """A project's folder with a bronze root, and `declare` run in it."""

    def __init__(self, path: Path, patch: pytest.MonkeyPatch) -> None:
        self.path = path
        (path / "data" / "bronze").mkdir(parents=True)
        patch.chdir(path)
        patch.delenv("BRONZE_ROOT", raising=False)

    def write(self, name: str, text: str) -> str:
        file = self.path / "data" / "bronze" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return str(file.relative_to(self.path))

    def declare(self, *arguments: str) -> Result:
        return CliRunner().invoke(main, ["declare", *arguments], catch_exceptions=False)

    @property
    def files(self) -> list[str]:
        models = self.path / "models"
        return sorted(one.relative_to(models).as_posix() for one in models.rglob("*") if one.is_file())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    return Folder(tmp_path / "project", monkeypatch)


FLIGHTS = "carrier,flight,arrDelay\nAA,1,5\nUA,1,NA\nAA,2,\n"


def test_what_is_written_is_what_the_loader_reads(folder: Folder) -> None:
    path = folder.write("nyc/flights.csv", FLIGHTS)
    done = folder.declare(
        path, "--name", "nyc.flights", "--key", "carrier,flight", "--by", "carrier", "--path", "nyc/f*.csv"
    )
    assert done.exit_code == 0
    assert folder.files == [
        "core/nyc_flights.sql",
        "core/nyc_flights.yml",
        "marts/nyc/nyc_flights_by_carrier.sql",
        "marts/nyc/nyc_flights_by_carrier.yml",
        "staging/nyc/_nyc__sources.yml",
        "staging/nyc/stg_nyc__flights.sql",
        "staging/nyc/stg_nyc__flights.yml",
    ]
    assert all(f"models/{name}" in done.output for name in folder.files)
    assert done.output.endswith("next:\n    python -m loaders load nyc.flights\n    dbt build --select source:nyc+\n")
    [source] = read_sources(Path())
    assert (source.name, source.bronze.path) == ("nyc.flights", "nyc/f*.csv")
    assert source.bronze.copy_format.has_record_numbers
    assert source.columns == ("carrier", "flight", "arr_delay")


def test_the_columns_stand_in_two_places(folder: Folder) -> None:
    folder.declare(folder.write("nyc/flights.csv", FLIGHTS), "--name", "nyc.flights", "--key", "carrier,flight")
    listing = [name for name in folder.files if "arr_delay" in (folder.path / "models" / name).read_text()]
    assert listing == ["core/nyc_flights.yml", "staging/nyc/_nyc__sources.yml"]


def test_a_table_is_added_without_disturbing_the_text(folder: Folder) -> None:
    before = (
        "# ours\nsources:\n  - name: nyc   # New York\n    schema: staging\n    tables:\n      - name: planes\n"
        "        description: >\n          Planes.\n\n    # behind\n    meta: {a: 1}\n  - name: other\n    tables: []\n"
    )
    sources = folder.path / "models" / "staging" / "nyc" / "_nyc__sources.yml"
    sources.parent.mkdir(parents=True)
    sources.write_text(before)
    done = folder.declare(folder.write("nyc/flights.csv", FLIGHTS), "--name", "nyc.flights", "--key", "carrier,flight")
    assert done.exit_code == 0, done.output
    after = sources.read_text()
    assert [line for line in before.splitlines() if line not in after.splitlines()] == []
    added = yaml.safe_load(after)
    table = added["sources"][0]["tables"].pop()
    assert added == yaml.safe_load(before)
    assert table["name"] == "flights"
    assert "loaded_at_query" in table["config"]


def test_nothing_is_overwritten(folder: Folder) -> None:
    path = folder.write("nyc/flights.csv", FLIGHTS)
    core = folder.path / "models" / "core" / "nyc_flights.sql"
    core.parent.mkdir(parents=True)
    core.write_text("select 1")
    done = folder.declare(path, "--name", "nyc.flights", "--key", "carrier,flight")
    assert (done.exit_code, folder.files) == (1, ["core/nyc_flights.sql"])
    assert "models/core/nyc_flights.sql is there already" in done.output
    core.unlink()
    folder.declare(path, "--name", "nyc.flights", "--key", "carrier,flight")
    written = {name: (folder.path / "models" / name).read_text() for name in folder.files}
    done = folder.declare(path, "--name", "nyc.flights", "--key", "flight")
    assert done.exit_code == 1
    assert "--update" in done.output
    assert {name: (folder.path / "models" / name).read_text() for name in folder.files} == written


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--name SOURCE.TABLE"),
        (["--name", "Flights"], "SOURCE.TABLE in snake_case"),
        (["--name", "nyc.flights", "--key", "tailnum"], "has no column tailnum. Name one of: carrier, flight"),
        (["--name", "nyc.flights", "--by", "tailnum"], "has no column tailnum"),
        (["--name", "nyc.flights", "--path", "other/*.csv"], "does not match"),
        (["--name", "nyc.a_table_with_a_name_beyond_any_limit", "--key", "flight"], "Choose a shorter --name"),
    ],
)
def test_a_question_says_what_is_needed_and_writes_nothing(
    folder: Folder, arguments: Sequence[str], message: str
) -> None:
    done = folder.declare(folder.write("nyc/flights.csv", FLIGHTS), *arguments)
    assert (done.exit_code, folder.files) == (1, [])
    assert message in " ".join(done.output.split())


def test_a_file_outside_the_bronze_root_needs_its_glob(folder: Folder, tmp_path: Path) -> None:
    outside = tmp_path / "flights.csv"
    outside.write_text(FLIGHTS)
    done = folder.declare(str(outside), "--name", "nyc.flights", "--key", "flight")
    assert (done.exit_code, "not under the bronze root" in done.output) == (1, True)
    done = folder.declare(str(outside), "--name", "nyc.flights", "--key", "flight", "--path", "nyc/*.csv")
    assert done.exit_code == 0


def test_without_a_key_one_is_found_or_asked_for(folder: Folder) -> None:
    done = folder.declare(folder.write("nyc/flights.csv", FLIGHTS), "--name", "nyc.flights")
    assert done.exit_code == 0
    assert "doubt: key: carrier,flight was chosen" in done.output
    done = folder.declare(folder.write("nyc/twice.csv", "a,b\nx,y\nx,y\n"), "--name", "nyc.twice")
    assert done.exit_code == 1
    assert "no key is evident" in done.output
    assert "--key COLUMN" in done.output


def test_a_key_that_repeats_or_lacks_values_is_doubted(folder: Folder) -> None:
    path = folder.write("nyc/flights.csv", FLIGHTS + ",9,1\nAA,1,6\n")
    done = folder.declare(path, "--name", "nyc.flights", "--key", "carrier,flight")
    assert "key: 1 of 5 records lack a value of it; core leaves them out" in done.output
    assert "key: not unique in the sample: 1 of 4 records repeat one; core has the last" in done.output


def test_update_says_what_is_different(folder: Folder) -> None:
    path = folder.write("nyc/flights-1.csv", FLIGHTS)
    folder.declare(path, "--name", "nyc.flights", "--key", "carrier,flight", "--path", "nyc/*.csv")
    before = {name: (folder.path / "models" / name).read_text() for name in folder.files}
    done = folder.declare(path, "--update")
    assert (done.exit_code, done.output) == (0, f"{path} is as nyc.flights declares\n")
    path = folder.write("nyc/flights-2.csv", "carrier,arrDelay,gate\nAA,late,7\nAA,late,8\nUA,4.5,9\nUA,NA,9\n")
    done = folder.declare(path, "--update")
    assert done.exit_code == 1
    assert done.output.splitlines() == [
        "arr_delay: 3 of 4 values are not an integer: 'late', '4.5'",
        "gate: not declared; in this file it is integer",
        "flight: not in this file",
    ]
    assert {name: (folder.path / "models" / name).read_text() for name in folder.files} == before
