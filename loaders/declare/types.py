"""Types: for each column of a sample, the cast that keeps its values, and what is doubtful about it."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import duckdb

from loaders.declare.casts import CASTS, EPOCHS, JSONB, TEXT, Cast
from loaders.declare.sample import Sample, SampleColumn
from loaders.duckdb_file import quoted

# Texts that stand for no value. Only where the others are numbers, dates or booleans: as text, NA may be Namibia.
NULL_TEXTS = (
    "NA",
    "N/A",
    "n/a",
    "#N/A",
    "NULL",
    "Null",
    "null",
    "None",
    "none",
    "NaN",
    "nan",
    "nil",
    "-",
    "--",
    "?",
    ".",
    "\\N",
)
# A cast that fails for a few spellings of many values is declared, with how many; for more, the column is text.
MIN_KEPT = 0.99
MAX_FAILED_SPELLINGS = 5
# Below this share, what the column nearly was is not worth a doubt.
MIN_DOUBTED = 0.8
FIRST_TEXTS = 5000
SHOWN_TEXTS = 3
TIME_NAME = re.compile(r"(^|_)(at|time|ts|timestamp|epoch|date|datetime|created|updated|modified)(_|$)")
BOOLEANS = ({"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"})
AMBIGUOUS = (("day_first", "month_first"), ("thousands", "decimal_comma"))


@dataclass(frozen=True, kw_only=True)
class ColumnType:
    """What is declared of a column.

    `null_texts` become NULL before the cast, `failures` are the values that it loses, `trim` takes spaces off.
    """

    column: SampleColumn
    cast: Cast
    has_null: bool
    null_texts: tuple[str, ...] = ()
    failures: int = 0
    trim: bool = False
    doubts: tuple[str, ...] = field(default=())


def column_types(sample: Sample, *, keys: Sequence[str] = ()) -> list[ColumnType]:
    """Return the type of every column; `keys` are never given a cast that loses a value."""
    return [_Column(sample, column, is_key=column.name in keys).declared() for column in sample.columns]


@dataclass(frozen=True)
class _Column:
    sample: Sample
    column: SampleColumn
    is_key: bool
    trim: bool = False

    def declared(self) -> ColumnType:
        """Return the column's type; where only spaces around the values keep it from one, that without them."""
        found = self.type()
        if found.cast != TEXT or self._all("v = trim(v)"):
            return found
        column = replace(self, trim=True)
        trimmed = column.type()
        if trimmed.cast == TEXT:
            return found
        return column._doubted(replace(trimmed, trim=True), "values have spaces around them; declared as trim: true")

    def type(self) -> ColumnType:
        # Each text once, with how often it occurs: to match a text takes longer than to group it.
        self.sample.connection.execute(
            "create or replace temp table texts as "
            f"select v, count(*) as n from {self._values} where v is not null group by v"
        )
        [count] = self._row("select coalesce(sum(n), 0) from texts")
        text = ColumnType(column=self.column, cast=TEXT, has_null=count < self.sample.rows)
        if self.column.json_kinds & {"OBJECT", "ARRAY"}:
            return replace(text, cast=JSONB)
        if not count:
            return self._doubted(text, f"no value in {self.sample.rows:,} rows; declared as text")
        kept = self._kept(self._promising())
        null_texts = self._null_texts() if kept else ()
        values = count - sum(number for _, number in null_texts)
        whole = [cast for cast, number in kept.items() if number == values > 0]
        if whole:
            return self._whole(whole, text, null_texts)
        return self._partial(kept, values, text, null_texts)

    def _whole(self, casts: list[Cast], text: ColumnType, null_texts: Sequence[tuple[str, int]]) -> ColumnType:
        """Return the type where casts keep all values."""
        names = [cast.cast for cast in casts]
        cast = casts[0]
        for pair in AMBIGUOUS:
            if cast.cast in pair and set(pair) <= set(names):
                return self._ambiguous(casts, text, pair)
        if cast.data_type == "boolean" and not self._is_boolean():
            return text
        if self.column.json_kinds == {"VARCHAR"} and cast.cast is None and cast.noun in ("an integer", "a number"):
            return self._doubted(text, f"the JSON strings are each {cast.noun} ({self._shown(TEXT)}); kept as text")
        found = replace(text, cast=cast)
        if null_texts:
            found = replace(found, has_null=True, null_texts=tuple(null for null, _ in null_texts))
            number = sum(number for _, number in null_texts)
            shown = ", ".join(repr(null) for null in found.null_texts)
            found = self._doubted(
                found, f"{number:,} of {self.sample.rows:,} values are not {cast.noun}: {shown}; declared as null_text"
            )
        if cast.data_type == "timestamptz" and not self._has_zone(cast):
            found = self._doubted(found, "the times name no zone; read as UTC")
        return found

    def _ambiguous(self, casts: list[Cast], text: ColumnType, pair: tuple[str, str]) -> ColumnType:
        cast = casts[0]
        if "day_first" in pair and self._all(r"regexp_matches(v, '^\d+[.]\d+[.]')"):
            return replace(text, cast=cast)
        if "decimal_comma" in pair and self.sample.delimiter == ";":
            chosen = next(cast for cast in casts if cast.cast == "decimal_comma")
            return self._doubted(
                replace(text, cast=chosen), f"{self._shown(TEXT)} may have commas between thousands; read as decimal"
            )
        return self._doubted(
            text,
            f"{self._shown(TEXT)} can be read in two ways, {pair[0]} and {pair[1]}; kept as text: "
            f"set `data_type: {cast.data_type}` and `meta: {{cast: {pair[0]}}}` or {pair[1]} in the sources YAML, "
            "and the type in the core YAML",
        )

    def _partial(
        self, kept: dict[Cast, int], values: int, text: ColumnType, null_texts: Sequence[tuple[str, int]]
    ) -> ColumnType:
        """Return the type where every cast loses values: the best, with how many, or text."""
        cast = max(kept, key=lambda cast: kept[cast], default=TEXT)
        if cast is TEXT or not values or kept[cast] < values * MIN_DOUBTED:
            return text
        failures = values - kept[cast]
        nulls = tuple(null for null, _ in null_texts)
        said = f"{failures:,} of {values:,} values are not {cast.noun} ({self._shown(cast, nulls)})"
        [spellings] = self._row(f"select count(*) from texts where {self._lost(cast, nulls)}")
        if self.is_key or kept[cast] < values * MIN_KEPT or spellings > MAX_FAILED_SPELLINGS or self._has_zeros(cast):
            return self._doubted(text, f"{said}; kept as text")
        found = replace(text, cast=cast, has_null=True, null_texts=nulls, failures=failures)
        return self._doubted(found, f"{said} and become NULL; declared as max_cast_failures: {failures}")

    def _promising(self) -> list[Cast]:
        """Return the casts that keep half of the first texts: to try all casts on all texts takes seconds."""
        casts = [*(EPOCHS if TIME_NAME.search(self.column.name) else ()), *CASTS]
        counts = self._row(f"select {self._counted([*casts, TEXT])} from (from texts limit {FIRST_TEXTS})")
        return [cast for cast, count in zip(casts, counts, strict=False) if count * 2 > counts[-1]]

    def _kept(self, casts: list[Cast]) -> dict[Cast, int]:
        if not casts:
            return {}
        return dict(zip(casts, self._row(f"select {self._counted(casts)} from texts"), strict=True))

    def _counted(self, casts: Sequence[Cast]) -> str:
        """Render how many values each cast keeps; a text that stands for no value is no value."""
        nulls = _listed(NULL_TEXTS)
        return ", ".join(f"coalesce(sum(n) filter (where v not in ({nulls}) and {cast.keeps}), 0)" for cast in casts)

    def _null_texts(self) -> list[tuple[str, int]]:
        return self.sample.connection.execute(
            f"select v, n from texts where v in ({_listed(NULL_TEXTS)}) order by n desc, v"
        ).fetchall()

    def _is_boolean(self) -> bool:
        """Tell whether both of a pair are there: a column of `no` alone may be Norway."""
        found = self.sample.connection.execute("select distinct lower(v) from texts")
        texts = {row[0] for row in found.fetchall()} - {null.lower() for null in NULL_TEXTS}
        return texts in BOOLEANS or texts < BOOLEANS[0]

    def _has_zone(self, cast: Cast) -> bool:
        return cast in EPOCHS or self._all(r"regexp_matches(v, '(Z|[+-]\d\d(:?\d\d)?)$')")

    def _has_zeros(self, cast: Cast) -> bool:
        """Tell whether the cast of numbers fails for leading zeros: those are codes."""
        return not self._all(f"not ({self._lost(cast, ())} and regexp_matches(v, '^[-+]?0\\d'))")

    def _all(self, condition: str) -> bool:
        [others] = self._row(f"select count(*) from texts where v not in ({_listed(NULL_TEXTS)}) and not ({condition})")
        return bool(others == 0)

    def _shown(self, cast: Cast, nulls: Sequence[str] = ()) -> str:
        """Return some of the values that a cast loses, the most frequent first; of text, some values."""
        where = "v is not null" if cast is TEXT else self._lost(cast, nulls)
        found = self.sample.connection.execute(
            f"select v from texts where {where} order by n desc, v limit {SHOWN_TEXTS}"
        ).fetchall()
        return ", ".join(repr(row[0][:40]) for row in found)

    def _lost(self, cast: Cast, nulls: Sequence[str]) -> str:
        return lost_condition(cast, nulls)

    def _doubted(self, found: ColumnType, doubt: str) -> ColumnType:
        return replace(found, doubts=(*found.doubts, f"{self.column.name}: {doubt}"))

    @property
    def _values(self) -> str:
        return values_of(self.column.name, trim=self.trim)

    def _row(self, query: str) -> tuple[int, ...]:
        row = self.sample.connection.execute(query).fetchone()
        assert row is not None  # noqa: S101 - an aggregate returns a row
        return tuple(row)


def lost_condition(cast: Cast, nulls: Sequence[str]) -> str:
    """Render the DuckDB condition that the cast loses the text `v`."""
    return f"v is not null and v not in ({_listed(nulls)}) and ({cast.keeps}) is not true"


def values_of(name: str, *, trim: bool) -> str:
    """Render the values of a column, as `v`."""
    value = quoted(name)
    return f"(select {f'nullif(trim({value}), $$$$)' if trim else value} as v from sample)"


def lost_values(
    connection: duckdb.DuckDBPyConnection, name: str, cast: Cast, nulls: Sequence[str], *, trim: bool
) -> Iterator[tuple[str, int]]:
    """Yield the texts of a column that a cast loses and how often each occurs, the most frequent first."""
    yield from connection.execute(
        f"select v, count(*) from {values_of(name, trim=trim)} where {lost_condition(cast, nulls)} "
        "group by v order by 2 desc, 1"
    ).fetchall()


def _listed(texts: Sequence[str]) -> str:
    return ", ".join("'" + text.replace("'", "''") + "'" for text in texts) or "''"
