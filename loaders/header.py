"""The header of a CSV file: its fields as the names of text columns."""

import re
from collections.abc import Iterator, Mapping, Sequence

# PostgreSQL cuts longer names off, and two that differ only behind the cut would become one.
MAX_NAME_BYTES = 63
# Every table has these; see "System Columns" in PostgreSQL's manual.
SYSTEM_COLUMNS = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})


def column_names(fields: Sequence[str], renamed: Mapping[str, str] | None = None) -> tuple[str, ...]:
    """Return a name for each field of a header, all different: the one that `renamed` has for it, else its snake_case.

    A field without a name is column_3, by its position; of fields with one name, and of names that every table has,
    the later ones get a number: name, name_2.
    """
    renamed = renamed or {}
    wanted = [
        renamed.get(field) or _cut(snake_case(field), MAX_NAME_BYTES) or f"column_{number}"
        for number, field in enumerate(fields, start=1)
    ]
    taken: set[str] = set(SYSTEM_COLUMNS)
    names: list[str] = []
    for name in wanted:
        # A number that another field asks for by its own name is left to that field.
        free = name if name not in taken else next(one for one in _numbered(name) if one not in taken | {*wanted})
        taken.add(free)
        names.append(free)
    return tuple(names)


def snake_case(name: str) -> str:
    """Return a column's name in snake_case: isMarried -> is_married, HTTPStatus -> http_status, "a b" -> a_b.

    No name begins with an underscore but one that would begin with a digit: those are the lineage columns'.
    """
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    name = re.sub(r"[\W_]+", "_", name).strip("_").lower()
    return f"_{name}" if name[:1].isdigit() else name


def _numbered(name: str) -> Iterator[str]:
    number = 2
    while True:
        ending = f"_{number}"
        yield _cut(name, MAX_NAME_BYTES - len(ending)) + ending
        number += 1


def _cut(name: str, size: int) -> str:
    """Return as much of the name as fits in `size` bytes of UTF-8."""
    return name.encode()[:size].decode(errors="ignore")
