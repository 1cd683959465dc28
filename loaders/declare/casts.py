"""The casts that a column can be declared with, each with the DuckDB predicate that says which texts it keeps.

The predicates say what the macros in macros/casts make of a text in PostgreSQL: tests/project/test_declared_casts.py
compares the two. They are stricter only where a cast would keep a value and lose what it was written as: a leading
zero, the plus of a telephone number.
"""

from dataclasses import dataclass

# Half of the type's range: what grows, grows.
INTEGER_LIMIT = 2**30
_MINUTES = r":[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?"
_TIME = rf"(?:[01]?\d|2[0-3]){_MINUTES}"
_ZONE = r" ?(Z|[+-](0\d|1[0-4])(:?[0-5]\d)?)"
_MONTHS = (
    "jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?|september|oct(?:ober)?|"
    "nov(?:ember)?|dec(?:ember)?"
)
# A pattern, and its groups that are the month, the day and the year.
_NAMED_MONTHS = (
    (rf"({_MONTHS})[ -](\d{{1,2}}),?[ -](\d{{4}})", 1, 2, 3),
    (rf"(\d{{1,2}})[ -]({_MONTHS}),?[ -](\d{{4}})", 2, 1, 3),
)
_INTEGER = r"^[-+]?(0|[1-9]\d*)$"
_PHONE = r"^\+\d{7,}$"
_DECIMAL = r"[-+]?((0|[1-9]\d*)(\.\d*)?|\.\d+)"
_FLOAT = rf"{_DECIMAL}([eE][-+]?\d{{1,3}})?"
_ISO_TIME = rf"^\d{{4}}-\d{{2}}-\d{{2}}([ T]{_TIME}({_ZONE})?)?$"
_EPOCH = r"^[0-9]{9,13}$"
_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


@dataclass(frozen=True, kw_only=True)
class Cast:
    """A data type, the cast of `config.meta.cast` where it is not the type's own, and which texts it keeps.

    `keeps` is a DuckDB predicate over the text `v`; `noun` is what a text is that it keeps.
    """

    data_type: str
    keeps: str
    noun: str
    cast: str | None = None

    def is_declared_as(self, data_type: str, cast: str | None) -> bool:
        """Tell whether a column with this type and cast is read by this cast."""
        return (self.data_type, self.cast) == (data_type, cast)


def _matches(pattern: str, options: str = "") -> str:
    return f"regexp_matches(v, '{pattern}'{f', {options!r}' if options else ''})"


def _is_day(pattern: str, year: int, month: int, day: int) -> str:
    """Render that the groups of `pattern` name a day of the calendar."""
    parts = ", ".join(f"lpad(regexp_extract(v, '{pattern}', {group}), 2, '0')" for group in (month, day))
    return f"try_cast(concat_ws('-', regexp_extract(v, '{pattern}', {year}), {parts}) as date) is not null"


def _written_date(pattern: str, year: int, month: int, day: int, time: str) -> str:
    whole = f"^{pattern}{time}$"
    return f"({_matches(whole)} and {_is_day(whole, year, month, day)})"


def _named_month(time: str) -> str:
    rendered = []
    for pattern, month, day, year in _NAMED_MONTHS:
        whole = f"^(?i:{pattern}){time}$"
        name = f"lower(left(regexp_extract(v, '{whole}', {month}), 3))"
        number = f"list_position(['jan','feb','mar','apr','may','jun','jul','aug','sep','oct','nov','dec'], {name})"
        rendered.append(
            f"({_matches(whole)} and try_cast(concat_ws('-', regexp_extract(v, '{whole}', {year}), "
            f"lpad({number}::varchar, 2, '0'), lpad(regexp_extract(v, '{whole}', {day}), 2, '0')) as date) is not null)"
        )
    return f"({' or '.join(rendered)})"


_ORDERS = {
    "year_first": (r"(\d{4})[./](\d{1,2})[./](\d{1,2})", 1, 2, 3),
    "day_first": (r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})", 3, 2, 1),
    "month_first": (r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})", 3, 1, 2),
}
_WRITTEN_TIME = rf"[ T](?:{_TIME}|(?:0?\d|1[0-2]){_MINUTES} ?(?i:[ap]m))"
_GROUPED = r"([1-9]\d{0,2}(,\d{3})+|0|[1-9]\d*)"
_NUMBERS = {
    "thousands": (rf"^[-+]?{_GROUPED}(\.\d+)?$", "a number with commas between thousands"),
    "decimal_comma": (r"^[-+]?([1-9]\d{0,2}([. ]\d{3})+|0|[1-9]\d*)(,\d+)?$", "a number with a decimal comma"),
    "percent": (r"^[-+]?(0|[1-9]\d*)(\.\d+|,(\d{1,2}|\d{4,}))? ?%$", "a percentage"),
    "currency": (rf"^([-+]?([$€£¥] ?)?|[$€£¥] ?[-+]){_GROUPED}(\.\d+)?( ?[$€£¥])?$", "an amount of money"),
}


def _integer(data_type: str, limits: str) -> Cast:
    keeps = f"({_matches(_INTEGER)} and not {_matches(_PHONE)} and {limits})"
    return Cast(data_type=data_type, keeps=keeps, noun="an integer")


def _number(cast: str, data_type: str) -> Cast:
    pattern, noun = _NUMBERS[cast]
    return Cast(data_type=data_type, cast=cast, keeps=f"({_matches(pattern)} and not {_matches(_PHONE)})", noun=noun)


def _dates(data_type: str, time: str) -> list[Cast]:
    noun = "a date" if data_type == "date" else "a date and time"
    written = [
        Cast(
            data_type=data_type,
            cast=order,
            keeps=_written_date(*shape, time),
            noun=f"{noun}, {order.replace('_', ' ')}",
        )
        for order, shape in _ORDERS.items()
    ]
    return [
        *written,
        Cast(data_type=data_type, cast="named_month", keeps=_named_month(time), noun=f"{noun} with its month's name"),
    ]


def _epoch(cast: str, digits: int, noun: str) -> Cast:
    # From 2000 to 2099: other numbers of as many digits are no times.
    scale = "000" if digits == 13 else ""
    limits = f"try_cast(v as bigint) between 946684800{scale} and 4102444799{scale}"
    return Cast(data_type="timestamptz", cast=cast, keeps=f"({_matches(_EPOCH)} and {limits})", noun=noun)


TEXT = Cast(data_type="text", keeps="true", noun="text")
JSONB = Cast(data_type="jsonb", keeps="json_valid(v)", noun="JSON")
EPOCHS = (
    _epoch("epoch_seconds", 10, "a number of seconds since 1970"),
    _epoch("epoch_milliseconds", 13, "a number of milliseconds since 1970"),
)
# In the order of preference: the first that keeps all values is declared.
CASTS = (
    Cast(
        data_type="boolean",
        keeps="lower(v) in ('true', 'false', 't', 'f', 'yes', 'no', 'y', 'n')",
        noun="a boolean",
    ),
    _integer("integer", f"try_cast(v as bigint) between -{INTEGER_LIMIT} and {INTEGER_LIMIT}"),
    _integer("bigint", "try_cast(v as bigint) is not null"),
    Cast(
        data_type="numeric",
        keeps=f"({_matches(f'^{_DECIMAL}$')} and not {_matches(_PHONE)})",
        noun="a number",
    ),
    Cast(
        data_type="double precision",
        keeps=(
            f"({_matches(f'^{_FLOAT}$')} and not {_matches(_PHONE)} and isfinite(try_cast(v as double)) "
            "and (try_cast(v as double) <> 0 or not regexp_matches(v, '^[-+]?[0.]*[1-9]')))"
        ),
        noun="a number",
    ),
    Cast(
        data_type="date",
        keeps=f"({_matches('^....-..-..$')} and {_matches(_ISO_TIME)} and try_cast(v as date) is not null)",
        noun="a date",
    ),
    Cast(
        data_type="timestamptz",
        keeps=f"({_matches(_ISO_TIME)} and try_cast(left(v, 10) as date) is not null)",
        noun="a date and time",
    ),
    *_dates("date", ""),
    *_dates("timestamptz", _WRITTEN_TIME),
    *(_number(cast, "numeric") for cast in _NUMBERS),
    Cast(data_type="uuid", keeps=_matches(_UUID), noun="a UUID"),
)
