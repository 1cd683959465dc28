"""The header of a CSV file: its fields as the names of text columns."""

import csv
import re

from loaders.errors import FileError

# PostgreSQL cuts longer names off, and two that differ only behind the cut would become one.
MAX_NAME_BYTES = 63
# PostgreSQL's limit is 1,600 in all; three are the lineage's.
MAX_COLUMNS = 1597
# Every table has these.
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def column_names(header: bytes, *, path: str, delimiter: str, quote: str, encoding: str) -> tuple[str, ...]:
    """Return the columns that a header names, in its order; FileError names the file and the field."""
    if not header:
        raise FileError(f"{path} is empty: not even a header. Remove it, or export it again.")
    if header[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise FileError(f"{path} is in UTF-16. Convert it to UTF-8.")
    try:
        text = header.decode(encoding)
    except (UnicodeDecodeError, LookupError) as error:
        raise FileError(f"{path}: the header is not {encoding} ({error}). Declare the source's encoding.") from error
    if "\0" in text:
        raise FileError(f"{path}: the header holds a NUL byte. Is it a CSV file? Export it again.")
    if "\r" in text:
        raise FileError(f"{path} ends its lines with bare carriage returns. Convert them to newlines.")
    try:
        fields = next(csv.reader([text], delimiter=delimiter, quotechar=quote), [])
    except csv.Error as error:
        raise FileError(f"{path}: the header cannot be read ({error}). Is it a CSV file? Export it again.") from error
    if len(fields) > MAX_COLUMNS:
        raise FileError(f"{path} has {len(fields):,} columns, a table at most {MAX_COLUMNS:,}. Split the file.")
    names = [snake_case(field) for field in fields]
    for number, (field, name) in enumerate(zip(fields, names, strict=True), start=1):
        if not name:
            raise FileError(f"{path}: column {number} has no name. Name it in the header.")
        if len(name.encode()) > MAX_NAME_BYTES:
            raise FileError(f"{path}: column {number}'s name is over {MAX_NAME_BYTES} bytes long. Shorten it.")
        if name in SYSTEM_COLUMNS:
            raise FileError(f"{path}: column {number} is named {name}, as a system column is. Rename it.")
        if name in names[: number - 1]:
            first = names.index(name)
            raise FileError(
                f"{path}: columns {first + 1} and {number}, {fields[first]!r} and {field!r}, are both named "
                f"{name}. Rename one of them."
            )
    return tuple(names)


def snake_case(name: str) -> str:
    """Return a column's name in snake_case: isMarried -> is_married, HTTPStatus -> http_status, "a b" -> a_b.

    No name begins with an underscore but one that would begin with a digit: those are the lineage columns'.
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    name = re.sub(r"[\W_]+", "_", name).strip("_").lower()
    return f"_{name}" if name[:1].isdigit() else name
