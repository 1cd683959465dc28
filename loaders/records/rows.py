"""Rows of records: dicts, dataclasses or pydantic models as tuples, and the size of chunks that suits them; no I/O."""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain, islice
from math import ceil
from operator import attrgetter, itemgetter
from typing import Any

from psycopg.types.json import Json, Jsonb

from loaders.errors import RecordError

Row = tuple[Any, ...]
# Which positions of a row are JSON.
JsonColumns = Collection[int]

# A chunk is one COPY, one transaction, and what fails together. With one task, COPYs of 25 kB took 2.7 times as long as
# those of 1 MiB, and those of 5 MiB 0.9 times; with two tasks and more, 5 MiB gained nothing.
CHUNK_BYTES = 1024**2
# Tasks share a small input out, but not into less than this: with two, 200 kB took as long as 1 MiB, 50 kB 1.8 times.
SMALLEST_CHUNK_BYTES = 128 * 1024
SAMPLE_RECORDS = 100


@dataclass(frozen=True)
class Fields:
    """What the first record says of all: type, fields' names, how to read the values, and the keys if it is a dict."""

    kind: type[Any]
    names: tuple[str, ...]
    values: Callable[[Any], Row]
    keys: frozenset[str] | None

    @classmethod
    def of(cls, record: Any) -> "Fields":
        """Read the fields of a dict, a dataclass or a pydantic model; RecordError for anything else."""
        kind: type[Any] = type(record)
        if isinstance(record, Mapping):
            names = tuple(record)
        elif is_dataclass(record) and kind is not type:
            names = tuple(field.name for field in fields(record))
        elif hasattr(kind, "model_fields"):  # pydantic, which need not be installed
            names = tuple(kind.model_fields)
            if kind.model_config.get("extra") == "allow":
                raise RecordError(
                    f"{kind.__name__} allows extra fields, which would be lost: forbid them, or pass model_dump()s."
                )
        else:
            raise RecordError(f"The first record is {_an(kind)}: give dicts, dataclasses or pydantic models.")
        if not names or not all(isinstance(name, str) for name in names):
            raise RecordError(f"The first record's fields are {names}: give it at least one, named by text.")
        keys = frozenset(names) if isinstance(record, Mapping) else None
        read = attrgetter if keys is None else itemgetter
        if len(names) == 1:  # one name's getter returns the bare value
            bare = read(names[0])
            return cls(kind, names, lambda record: (bare(record),), keys)
        return cls(kind, names, read(*names), keys)

    def fit(self, record: Any) -> bool:
        """Tell whether a record has the type and the fields of the first."""
        return type(record) is self.kind and (self.keys is None or record.keys() == self.keys)

    def misfit(self, record: Any, number: int) -> RecordError:
        """Say how a record differs from the first; `number` is its index."""
        if type(record) is not self.kind:
            return RecordError(
                f"Record {number:,} is {_an(type(record))}, the first is {_an(self.kind)}: give records of one type."
            )
        lacking = [name for name in self.names if name not in record]
        further = [name for name in record if name not in self.names]
        return RecordError(
            f"Record {number:,} is not like the first: it lacks {lacking} and has {further} besides. "
            "Give every record the same fields."
        )


@dataclass(frozen=True)
class Chunk:
    """Records that are sent together, and the index of the first."""

    first: int
    records: Sequence[Any]

    @property
    def indexes(self) -> range:
        """Where the records stand among all that were given, counted from 0."""
        return range(self.first, self.first + len(self.records))

    def rows(self, shape: Fields, json_columns: JsonColumns) -> list[Row]:
        """Convert the records; RecordError names the first that is not like the others."""
        rows = []
        for number, record in zip(self.indexes, self.records, strict=True):
            if not shape.fit(record):
                raise shape.misfit(record, number)
            rows.append(shape.values(record))
        return [_with_json(row, json_columns) for row in rows] if json_columns else rows


class RecordReader:
    """Records read once, in their order, a chunk at a time; several tasks of one event loop may share it."""

    def __init__(self, records: Iterable[Any]) -> None:
        self._count = len(records) if isinstance(records, Sized) else None
        stream = iter(records)
        self._sample = list(islice(stream, SAMPLE_RECORDS))
        self._records = chain(self._sample, stream)
        self.read = 0
        self.fields = Fields.of(self._sample[0]) if self._sample else None

    def chunk_size(self, tasks: int) -> int:
        """Return how many records make a chunk, by their size in a sample, their number and the tasks."""
        if self.fields is None:
            return 0
        sizes = [
            sum(len(str(value)) + 1 for value in self.fields.values(record))
            for record in self._sample
            if self.fields.fit(record)
        ]
        return suitable_chunk_size(sum(sizes) / len(sizes), self._count, tasks)

    def next_chunk(self, size: int) -> Chunk | None:
        """Return the next records, at most `size`, or None at the end."""
        chunk = Chunk(self.read, list(islice(self._records, size)))
        self.read += len(chunk.records)
        return chunk if chunk.records else None


def suitable_chunk_size(record_bytes: float, count: int | None, tasks: int) -> int:
    """Return records a chunk: about CHUNK_BYTES, less where every task then gets a share, and all of one size."""
    largest = max(1, int(CHUNK_BYTES / record_bytes))
    if count is None:
        return largest
    smallest = max(1, int(SMALLEST_CHUNK_BYTES / record_bytes))
    size = min(max(ceil(count / tasks), smallest), largest)
    return ceil(count / ceil(count / size))


def _with_json(row: Row, json_columns: JsonColumns) -> Row:
    values = list(row)
    for position in json_columns:
        value = values[position]
        if value is not None and not isinstance(value, Json | Jsonb):
            values[position] = Json(value, dumps=_dump_json)
    return tuple(values)


def _dump_json(value: Any) -> str:
    return json.dumps(value, default=_plain)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json")
    raise RecordError(f"{_an(type(value)).capitalize()} cannot be written as JSON: convert {value!r} first.")


def _an(kind: type) -> str:
    return f"{'an' if kind.__name__[0] in 'aeiouAEIOU' else 'a'} {kind.__name__}"
