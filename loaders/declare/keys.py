"""Keys: whether columns tell the records of a sample apart, and which ones do."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from itertools import combinations

from loaders.declare.sample import Sample
from loaders.declare.types import ColumnType
from loaders.duckdb_file import quoted
from loaders.errors import SettingError
from loaders.header import snake_case

# A column of amounts can be unique by chance, and names nothing.
KEY_TYPES = ("integer", "bigint", "text", "uuid", "date", "timestamptz")
INTEGERS = ("integer", "bigint")
MAX_KEY_COLUMNS = 4
# So many columns make 550 keys of two to four.
MAX_CANDIDATES = 11
KEY_NAMES = {"id", "key", "code", "number", "uuid", "sku"}
# Other integers are amounts more often than not: unique in a small file, and not in the next.
COUNTED_NAMES = KEY_NAMES | {"year", "month", "day", "hour", "week", "quarter", "date", "time", "nr", "no"}


@dataclass(frozen=True, kw_only=True)
class Key:
    """The columns of a key, and what the sample says of it."""

    columns: tuple[str, ...]
    doubts: tuple[str, ...] = ()


def given_key(sample: Sample, names: Sequence[str]) -> Key:
    """Return the key of the columns that were named, in the file's words or in ours, with what breaks it."""
    known = {column.original: column.name for column in sample.columns} | {
        column.name: column.name for column in sample.columns
    }
    for name in names:
        if name not in known and snake_case(name) not in known:
            raise SettingError(f"{sample.path} has no column {name}. Name one of: {', '.join(known.values())}.")
    columns = tuple(dict.fromkeys(known.get(name) or known[snake_case(name)] for name in names))
    return Key(columns=columns, doubts=tuple(_breaches(sample, columns)))


def proposed_key(sample: Sample, types: Sequence[ColumnType]) -> Key:
    """Return the first columns that no two records have alike and no record lacks; SettingError if there are none."""
    filled = [one for one in types if not one.has_null and not one.failures and one.cast.data_type in KEY_TYPES]
    names = [one.column.name for one in filled]
    counts = dict(zip(names, _distinct(sample, names), strict=True)) if names else {}
    # What never changes tells nothing apart; names of keys come first, then the file's order.
    useful = sorted(
        (one for one in filled if counts[one.column.name] > 1), key=lambda one: not _is_named(one, KEY_NAMES)
    )
    likely = [one.column.name for one in useful if one.cast.data_type not in INTEGERS or _is_named(one, COUNTED_NAMES)]
    best: tuple[int, tuple[str, ...]] = (0, ())
    for candidates in (likely, [*likely, *(one.column.name for one in useful if one.column.name not in likely)]):
        for columns in _combined(candidates):
            distinct = _distinct_together(sample, columns, counts)
            if sample.rows and distinct == sample.rows:
                return Key(columns=columns, doubts=(_proposal(sample, columns),))
            best = max(best, (distinct, columns), key=lambda one: one[0])
    nearest = f" The nearest is {','.join(best[1])}, with {best[0]:,} different values." if best[1] else ""
    raise SettingError(
        f"{sample.path}: no key is evident: no column, and no {MAX_KEY_COLUMNS} columns together, have a value in all "
        f"{sample.rows:,} records and never the same one twice.{nearest} Say which columns are the key: --key "
        "COLUMN[,COLUMN ...]; of records with the same key the last one counts. Nothing was written."
    )


def _combined(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    for size in range(1, MAX_KEY_COLUMNS + 1):
        yield from combinations(names[:MAX_CANDIDATES] if size > 1 else names, size)


def _is_named(one: ColumnType, words: Set[str]) -> bool:
    return not words.isdisjoint(one.column.name.split("_"))


def _proposal(sample: Sample, columns: Sequence[str]) -> str:
    return (
        f"key: {','.join(columns)} was chosen, because it is filled and different in all {sample.rows:,} records; "
        "if another is meant, remove the files and say --key"
    )


def _breaches(sample: Sample, columns: Sequence[str]) -> Iterator[str]:
    names = ", ".join(map(quoted, columns))
    is_missing = " or ".join(f"{quoted(column)} is null" for column in columns)
    row = sample.connection.execute(
        f"""
        select count(*) filter (where {is_missing}), count(*) filter (where not ({is_missing})),
            count(distinct ({names})) filter (where not ({is_missing}))
        from sample
        """
    ).fetchone()
    assert row is not None  # noqa: S101 - an aggregate returns a row
    missing, filled, distinct = row
    if missing:
        yield f"key: {missing:,} of {sample.rows:,} records lack a value of it; core leaves them out"
    if filled > distinct:
        yield (
            f"key: not unique in the sample: {filled - distinct:,} of {filled:,} records repeat one; core has the last"
        )


def _distinct(sample: Sample, names: Sequence[str]) -> tuple[int, ...]:
    counted = ", ".join(f"count(distinct {quoted(name)})" for name in names)
    return tuple(sample.connection.execute(f"select {counted} from sample").fetchone() or ())


def _distinct_together(sample: Sample, columns: Sequence[str], counts: dict[str, int]) -> int:
    if len(columns) == 1:
        return counts[columns[0]]
    possible = 1
    for column in columns:
        possible *= counts[column]
    if possible < sample.rows:
        return possible
    row = sample.connection.execute(
        f"select count(*) from (select distinct {', '.join(map(quoted, columns))} from sample)"
    ).fetchone()
    return 0 if row is None else int(row[0])
