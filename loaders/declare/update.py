"""The comparison of a new file with its source: columns added and missing, types that no longer cast."""

from pathlib import Path
from typing import Any

import yaml

from loaders.declare.casts import CASTS, EPOCHS, JSONB, TEXT, Cast
from loaders.declare.sample import Sample
from loaders.declare.types import column_types, lost_values
from loaders.errors import SourceError
from loaders.sources import DECLARATIONS, SourceTable

SHOWN_TEXTS = 3
# Types that an owner may have chosen, which a declaration never does: read as their wider kin.
KIN = {"smallint": "integer", "real": "double precision", "timestamp": "timestamptz"}


def differences(sample: Sample, source: SourceTable, project: Path) -> list[str]:
    """Return a line for each way in which the file is not what the source declares."""
    declared = _declared(source, project)
    by_field = {_meta(one).get("field", one["name"]): one for one in declared}
    found = []
    copy_format = source.bronze.copy_format
    if copy_format.kind == "csv" and sample.delimiter != copy_format.delimiter:
        found.append(f"delimiter: {sample.delimiter!r} in the file, {copy_format.delimiter!r} in the source")
    types = {one.column.name: one for one in column_types(sample)}
    present = set()
    for column in sample.columns:
        name = column.original if copy_format.kind == "jsonl" else column.name
        entry = by_field.get(name) or by_field.get(column.name)
        if entry is None:
            cast = types[column.name].cast
            said = f"{cast.data_type}{f', cast: {cast.cast}' if cast.cast else ''}"
            found.append(f"{column.name}: not declared; in this file it is {said}")
            continue
        present.add(entry["name"])
        found += _lost(sample, column.name, entry)
    found += [f"{one['name']}: not in this file" for one in declared if one["name"] not in present]
    return found


def _lost(sample: Sample, name: str, entry: dict[str, Any]) -> list[str]:
    data_type, meta = entry.get("data_type") or "text", _meta(entry)
    cast = _cast(data_type, meta.get("cast"))
    if cast is None or cast in (TEXT, JSONB):
        return []
    nulls = meta.get("null_text") or []
    nulls = [nulls] if isinstance(nulls, str) else nulls
    lost = list(lost_values(sample.connection, name, cast, nulls, trim=bool(meta.get("trim"))))
    count, allowed = sum(number for _, number in lost), int(meta.get("max_cast_failures") or 0)
    if count <= allowed:
        return []
    shown = ", ".join(repr(text[:40]) for text, _ in lost[:SHOWN_TEXTS])
    limit = f", max_cast_failures is {allowed:,}" if allowed else ""
    return [f"{name}: {count:,} of {sample.rows:,} values are not {cast.noun}: {shown}{limit}"]


def _cast(data_type: str, cast: str | None) -> Cast | None:
    """Return what reads a column; the full range of a type, not the half that a declaration leaves free."""
    kin = KIN.get(data_type, data_type)
    if kin == "integer" and not cast:
        base = next(one for one in CASTS if one.is_declared_as("bigint", None))
        limit = 2**15 if data_type == "smallint" else 2**31
        return Cast(
            data_type=data_type,
            keeps=f"({base.keeps} and try_cast(v as bigint) between -{limit} and {limit - 1})",
            noun=base.noun,
        )
    if cast in ("thousands", "decimal_comma", "percent", "currency"):
        kin = "numeric"
    return next((one for one in (*EPOCHS, *CASTS, TEXT, JSONB) if one.is_declared_as(kin, cast)), None)


def _declared(source: SourceTable, project: Path) -> list[dict[str, Any]]:
    for path in sorted(project.glob(DECLARATIONS)):
        for one in (yaml.safe_load(path.read_text()) or {}).get("sources") or []:
            for table in one.get("tables") or []:
                if (one["name"], table["name"]) == (source.source, source.table):
                    return [
                        column
                        for column in table.get("columns") or []
                        if column["name"] not in ("_load_id", "_file_id", "_record_number")
                    ]
    raise SourceError(f"{source.name} is not declared. Declare it: `python -m loaders declare FILE`.")


def _meta(column: dict[str, Any]) -> dict[str, Any]:
    return (column.get("config") or {}).get("meta") or column.get("meta") or {}
