import csv
import hashlib
from pathlib import Path

import duckdb
import pytest

from bench.errors import ToolError
from bench.generate import people
from bench.generate.people import generate_people, places


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def persons(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return generate_people(tmp_path_factory.mktemp("bronze"), rows=50_000, seed=1).path


def test_the_file_is_as_declared(persons: Path) -> None:
    with persons.open(newline="", encoding="utf-8") as text:
        rows = list(csv.DictReader(text))
    known = set(places())
    assert list(rows[0]) == ["id", "name", "age", "isMarried", "city", "state", "country"]
    assert [row["id"] for row in rows] == [str(number) for number in range(1, 50_001)]
    assert {int(row["age"]) for row in rows} == set(range(22, 66))
    assert {row["isMarried"] for row in rows} == {"true", "false"}
    assert {(row["city"], row["state"], row["country"]) for row in rows} <= known
    names = " ".join(row["name"] for row in rows)
    assert all(part in names for part in ["O'Brien", "José", ' "Bob" ', ", Jr."])


def test_about_two_percent_of_rows_are_quoted(persons: Path) -> None:
    lines = persons.read_text(encoding="utf-8").splitlines()
    assert 0.015 < sum('"' in line for line in lines) / len(lines) < 0.025


def test_states_belong_to_their_cities() -> None:
    assert ("San Diego", "California", "United States") in places()


def test_same_rows_and_seed_same_bytes_whatever_the_threads(
    persons: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect_alone(config: dict[str, str]) -> duckdb.DuckDBPyConnection:
        return connect(config={"threads": 1, "memory_limit": "150MB"})

    connect = duckdb.connect
    monkeypatch.setattr(people.duckdb, "connect", connect_alone)
    monkeypatch.setattr(people, "SLICE_ROWS", 7_000)
    again = generate_people(tmp_path / "it's here", rows=50_000, seed=1).path
    assert digest(again) == digest(persons)


def test_another_seed_other_people(persons: Path, tmp_path: Path) -> None:
    assert digest(generate_people(tmp_path, rows=50_000, seed=2).path) != digest(persons)


def test_more_rows_begin_with_the_same_people(persons: Path, tmp_path: Path) -> None:
    fewer = generate_people(tmp_path, rows=1_000, seed=1).path
    assert persons.read_bytes().startswith(fewer.read_bytes())


def test_no_rows_is_a_header_alone_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    written = generate_people(tmp_path, rows=0, seed=1)
    assert written.path.read_text() == "id,name,age,isMarried,city,state,country\n"
    assert list(tmp_path.iterdir()) == [written.path]


def test_a_folder_that_cannot_be_made_has_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ToolError, match=r"cannot be written.*--to"):
        generate_people(tmp_path / "file" / "people", rows=1, seed=1)
