"""The pure part of insert_records: what fields records have, how they become rows, how large chunks are."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import pytest
from psycopg.types.json import Json, Jsonb
from pydantic import BaseModel, ConfigDict

from loaders.errors import RecordError
from loaders.records.rows import CHUNK_BYTES, SMALLEST_CHUNK_BYTES, Chunk, Fields, RecordReader, suitable_chunk_size


@dataclass(slots=True)
class Point:
    x: int
    y: int


class Model(BaseModel):
    x: int
    y: int


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    x: int


@pytest.mark.parametrize("record", [{"x": 1, "y": 2}, Point(1, 2), Model(x=1, y=2)])
def test_records_of_every_kind_become_rows(record: Any) -> None:
    fields = Fields.of(record)
    assert fields.names == ("x", "y")
    assert Chunk(0, [record, record]).rows(fields, []) == [(1, 2), (1, 2)]


def test_a_single_field_is_still_a_row() -> None:
    assert Chunk(0, [{"x": [1, 2]}]).rows(Fields.of({"x": 0}), []) == [([1, 2],)]


def test_a_dict_in_another_order_becomes_the_same_row() -> None:
    assert Chunk(0, [{"y": 2, "x": 1}]).rows(Fields.of({"x": 0, "y": 0}), []) == [(1, 2)]


def test_json_is_wrapped_and_null_is_not() -> None:
    given = [{"x": 1, "y": None}, {"x": 1, "y": [1]}, {"x": 1, "y": Jsonb(None)}]
    rows = Chunk(0, given).rows(Fields.of(given[0]), [1])
    assert rows[0] == (1, None)
    assert isinstance(rows[1][1], Json)
    assert rows[1][1].obj == [1]
    assert rows[2][1] is given[2]["y"]


@pytest.mark.parametrize("record", [3, "text", (1, 2), None, Point, Model, {}, {1: 2}, Open(x=1, y=2)])
def test_what_has_no_fields_is_refused(record: Any) -> None:
    with pytest.raises(RecordError):
        Fields.of(record)


@pytest.mark.parametrize(
    ("records", "said"),
    [
        ([{"x": 1}, {"y": 1}], r"Record 41 .* lacks \['x'\] and has \['y'\] besides"),
        ([{"x": 1}, {"x": 1, "y": 1}], r"Record 41 .* lacks \[\] and has \['y'\]"),
        ([{"x": 1}, OrderedDict(x=1)], "Record 41 is an OrderedDict, the first is a dict"),
        ([Point(1, 2), Model(x=1, y=2)], "Record 41 is a Model, the first is a Point"),
    ],
)
def test_a_record_unlike_the_first_is_named(records: list[Any], said: str) -> None:
    with pytest.raises(RecordError, match=said):
        Chunk(40, records).rows(Fields.of(records[0]), [])


@pytest.mark.parametrize(
    ("record_bytes", "count", "tasks", "expected"),
    [
        (100, None, 4, CHUNK_BYTES // 100),  # a stream: no count to go by
        (100, 1_000_000, 4, 10_417),  # 96 equal chunks of about 1 MiB, and no small one behind
        (100, 8_000, 4, 2_000),  # each task a share
        (100, 8_000, 1, 8_000),
        (100, 1_500, 4, 750),  # too few for four tasks: two chunks
        (1, 3, 4, 3),
        (100, 1, 4, 1),
        (50 * 1024**2, 10, 4, 1),  # a record larger than a chunk
        (10_000, 1_000, 2, 100),
    ],
)
def test_chunks_suit_size_number_and_tasks(record_bytes: float, count: int | None, tasks: int, expected: int) -> None:
    assert suitable_chunk_size(record_bytes, count, tasks) == expected


@pytest.mark.parametrize("count", [1, 999, 12_345, 1_000_000])
@pytest.mark.parametrize("record_bytes", [1.5, 60, 3_000, 2_000_000])
@pytest.mark.parametrize("tasks", [1, 2, 4])
def test_no_chunk_is_tiny_or_huge(count: int, record_bytes: float, tasks: int) -> None:
    size = suitable_chunk_size(record_bytes, count, tasks)
    last = count % size or size
    chunks = -(-count // size)
    assert size == 1 or size * record_bytes <= CHUNK_BYTES
    if count * record_bytes > SMALLEST_CHUNK_BYTES:
        assert size * record_bytes >= min(SMALLEST_CHUNK_BYTES, count * record_bytes) / 2
    assert size - last < chunks


@pytest.mark.parametrize("make", [list, iter, lambda records: dict(enumerate(records)).values()])
def test_a_reader_gives_every_record_once_in_order(make: Any) -> None:
    records: Iterable[Any] = make([{"x": number} for number in range(1_005)])
    reader = RecordReader(records)
    assert reader.fields is not None
    given = []
    while (chunk := reader.next_chunk(10)) is not None:
        assert len(chunk.records) == len(chunk.indexes)
        assert [record["x"] for record in chunk.records] == list(chunk.indexes)
        given += chunk.rows(reader.fields, [])
    assert given == [(number,) for number in range(1_005)]
    assert reader.read == 1_005
    assert reader.next_chunk(10) is None


def test_a_generator_is_read_no_further_than_asked() -> None:
    read = 0

    def stream() -> Iterable[dict[str, int]]:
        nonlocal read
        for read in range(1_000_000):
            yield {"x": read}

    reader = RecordReader(stream())
    reader.next_chunk(200)
    assert read == 199


def test_no_records_have_no_fields_and_no_chunks() -> None:
    reader = RecordReader([])
    assert (reader.fields, reader.chunk_size(4), reader.next_chunk(10)) == (None, 0, None)
