"""Generate the gym's feed: gzipped NDJSON in a hive layout, the same records for the same scale, runs and seed."""

import os
import time
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from bench.errors import ToolError
from bench.generate.files import MEMORY_LIMIT, GeneratedFile
from bench.generate.gym_records import DELIVERED, DELIVERED_THE_DAY_AFTER, ENTRIES, MACROS, MEMBERS, PROSPECTS, SALES
from bench.generate.people import FIRST_NAMES, LAST_NAMES, prepare_places

FIRST_RUN = datetime.fromisoformat("2026-01-11T03:00:00")
# A part is sorted in memory, so its size bounds the memory, whatever the scale.
PART_IDS = 250_000
MEMBER_COUNT = 2_400_000
# What the day after a feed of one run delivers, of its records: half of that is new, half comes again.
DAY_SHARE = 0.01


@dataclass(frozen=True)
class Entity:
    """An entity of the feed: how many distinct records it has at scale 1, the SQL that draws them, its flags."""

    name: str
    count: int
    records: str
    flags: tuple[str, ...] = ()


ENTITIES = (
    Entity("members", MEMBER_COUNT, MEMBERS, ("accessBlocked", "personalTrainer")),
    Entity("sales", 12_800_000, SALES, ("flRemoved",)),
    Entity("entries", 110_000_000, ENTRIES),
    Entity("prospects", 4_800_000, PROSPECTS),
)


@dataclass(frozen=True)
class Part:
    """A part file to write: of which entity, the SQL of the ids and versions in it, and whether it has the flags."""

    entity: Entity
    delivered: str
    parameters: Mapping[str, Any]
    has_flags: bool


def generate_gym(
    folder: Path, *, scale: float, runs: int, seed: int, entities: Collection[str] = (), resume: bool = False
) -> GeneratedFile:
    """Write the feed of `runs` daily extractions into `folder`; ToolError if it cannot be written.

    `entities` names those to write, all where it is empty. At scale 1 there are 130 million distinct records; those
    delivered again come on top. `folder` may hold the parts of the same generation and no other: parts are immutable,
    and those of another scale would mix with these. `resume` writes only those that are not there.
    """
    parts = {
        _part_path(folder, entity, run, number): (entity, run, number)
        for entity in ENTITIES
        for run in range(runs)
        for number in range(_part_count(distinct_records(entity, scale)))
    }
    if stranger := next((path for path in folder.rglob("*.jsonl.gz") if path not in parts), None):
        raise ToolError(
            f"{stranger} is of another scale or number of runs, and would mix with what is to be generated. "
            "Remove the folder, or choose another with --to."
        )
    wanted = {
        path: _part(entity, scale, run=run, runs=runs, number=number)
        for path, (entity, run, number) in parts.items()
        if not entities or entity.name in entities
    }
    return _write_parts(folder, wanted, scale=scale, seed=seed, resume=resume)


def generate_gym_day(folder: Path, *, scale: float, seed: int, entities: Collection[str] = ()) -> GeneratedFile:
    """Write what the day after a feed of one run delivers, a part an entity; ToolError if it cannot be written.

    DAY_SHARE of the feed's records: half of them are new, of the others half have changed.
    """
    wanted = {}
    for entity in ENTITIES:
        if not entities or entity.name in entities:
            ids = distinct_records(entity, scale)
            parameters = {"first": 0, "last": new_records(entity, scale), "ids": ids, "run": 1}
            wanted[_part_path(folder, entity, 1, 0)] = Part(entity, DELIVERED_THE_DAY_AFTER, parameters, has_flags=True)
    return _write_parts(folder, wanted, scale=scale, seed=seed, resume=False)


def distinct_records(entity: Entity, scale: float) -> int:
    """Return how many distinct records an entity's feed has."""
    return max(round(entity.count * scale), 1)


def new_records(entity: Entity, scale: float) -> int:
    """Return how many more the day after it brings."""
    return max(round(distinct_records(entity, scale) * DAY_SHARE / 2), 1)


def _part_count(ids: int) -> int:
    """Return how many parts a run has: at least two, so that some records come again in a part after theirs."""
    return max(-(-ids // PART_IDS), 2)


def _part_path(folder: Path, entity: Entity, run: int, number: int) -> Path:
    moment = FIRST_RUN + timedelta(days=run)
    run_folder = f"entity={entity.name}/ingestion_date={moment:%Y-%m-%d}/run_id={moment:%Y%m%dT%H%M%SZ}"
    return folder / run_folder / f"part-{number + 1:05}.jsonl.gz"


def _part(entity: Entity, scale: float, *, run: int, runs: int, number: int) -> Part:
    ids = distinct_records(entity, scale)
    part_ids = -(-ids // _part_count(ids))
    parameters = {
        "first": number * part_ids, "last": min((number + 1) * part_ids, ids), "part_ids": part_ids, "run": run,
        "runs": runs,
    }  # fmt: skip
    # The last part of a run is by an extractor that leaves the flags out.
    return Part(entity, DELIVERED, parameters, has_flags=number < _part_count(ids) - 1)


def _write_parts(folder: Path, parts: Mapping[Path, Part], *, scale: float, seed: int, resume: bool) -> GeneratedFile:
    """Write the parts, or with `resume` those that are not there; ToolError if they cannot be written."""
    began = time.monotonic()
    known = {
        "members": distinct_records(ENTITIES[0], scale),
        "first_names": FIRST_NAMES.split(),
        "last_names": LAST_NAMES.split(),
    }
    rows = 0
    try:
        with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as database:
            prepare_places(database, seed, MACROS)
            for path, part in parts.items():
                if not (resume and path.exists()):
                    rows += _write_part(database, path, part, known)
    except (OSError, duckdb.IOException) as error:
        raise ToolError(
            f"{folder} cannot be written: {error}. Choose another folder with --to, or free space."
        ) from error
    except RuntimeError as error:  # all that DuckDB lets through of a signal's exception
        raise KeyboardInterrupt from error
    return GeneratedFile(folder, rows, sum(path.stat().st_size for path in parts), time.monotonic() - began)


def _write_part(database: duckdb.DuckDBPyConnection, path: Path, part: Part, known: Mapping[str, Any]) -> int:
    """Write one part, whole or not at all, and return its number of records."""
    query = f"{part.delivered}{part.entity.records}"
    if part.entity.flags and not part.has_flags:
        query = f"select * exclude ({', '.join(part.entity.flags)}) from ({query})"
    used = {name: value for name, value in {**known, **part.parameters}.items() if f"${name}" in query}
    # A name that the source's glob does not take for bronze.
    partial = path.with_name(f".{path.name}-{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    target = str(partial).replace("'", "''")
    try:
        written = database.execute(f"copy ({query}) to '{target}' (format json, compression gzip)", used).fetchone()
        partial.replace(path)
    finally:
        with suppress(OSError):
            partial.unlink()
    return int(written[0]) if written else 0
