"""How far a run has come: the greatest value of a field of its records, from which the next run goes on."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from loaders.errors import ExtractError
from loaders.extract.declaration import Cursor

# A value further ahead of the clock is a mistake of its record: as a cursor, it would skip all later changes.
AHEAD = timedelta(days=1)


@dataclass
class CursorReader:
    """The greatest value of the cursor's field: an integer, or the text of a date or time, as the API wrote it.

    Other values do not count. What is too low a cursor is only read again; `began_at` bounds it from above.
    """

    declared: Cursor
    began_at: datetime
    value: str | int | None = None
    records: int = 0
    _decoder: "msgspec.json.Decoder[Any]" = field(init=False)
    _greatest: Any = None

    def __post_init__(self) -> None:
        type_: Any = Any
        # The other fields are skipped, not decoded.
        for name in reversed(self.declared.field.split(".")):
            type_ = msgspec.defstruct("Field", [("value", type_, None)], rename={"value": name})
        self._decoder = msgspec.json.Decoder(type_)

    def add(self, records: Sequence[bytes]) -> None:
        """Take the records' values into account; ExtractError where numbers and times are mixed."""
        self.records += len(records)
        for record in records:
            value = self._value(record)
            order = _order(value)
            if order is None or (isinstance(order, datetime) and order > self.began_at + AHEAD):
                continue
            if self._greatest is not None and type(order) is not type(self._greatest):
                raise ExtractError(f"{self.declared.field} is a number in one record and a time in another. No cursor.")
            if self._greatest is None or order > self._greatest:
                self._greatest, self.value = order, value

    def check(self) -> None:
        """Raise ExtractError if no record had a value: each run would begin where this one did."""
        if self.records and self.value is None:
            raise ExtractError(
                f"none of {self.records:,} records has an integer, a date or a time in {self.declared.field}. "
                "Correct cursor.field."
            )

    def _value(self, record: bytes) -> Any:
        try:
            found: Any = self._decoder.decode(record)
        except msgspec.DecodeError:
            return None
        while isinstance(found, msgspec.Struct):
            found = getattr(found, "value", None)
        return found


def _order(value: Any) -> int | datetime | None:
    """Return what values are compared by, None for what is no integer and no ISO 8601 time; no zone means UTC."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
