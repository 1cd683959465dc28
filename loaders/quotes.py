"""Quotes that RFC 4180 does not allow, found without parsing.

PostgreSQL's CSV toggles at every quote byte, also inside an unquoted field: to it `1,5" nail` and the next such line
are one record. csv, pandas and DuckDB open a quoted field only behind a delimiter or at a record's beginning.
"""

from collections.abc import Sequence
from operator import itemgetter

NEWLINE, RETURN = b"\n", b"\r"
FIRST_BYTE, LAST_BYTE = itemgetter(0), itemgetter(-1)
# So many parts tell whether the rest repeats them.
SAMPLE = 100


def has_stray_quote(parts: Sequence[bytes], delimiter: bytes) -> bool:
    """Tell whether whole records, split at the quote byte, hold a quote that RFC 4180 does not allow.

    Every second part stands outside quotes. One that has a quote on its left begins with what ends a field, and one
    that has a quote on its right ends with what begins a field; an empty one between two is an escaped quote.
    """
    if len(parts) == 1:
        return False
    between = parts[2:-1:2]
    # Where every field is quoted, the same few parts come again: a set of them costs a fifth of a look at each.
    if len(set(between[:SAMPLE])) < SAMPLE // 5:
        between = list(set(between))
    inner = list(filter(None, between))
    begins, ends = set(map(FIRST_BYTE, inner)), set(map(LAST_BYTE, inner))
    ends.update(parts[0][-1:])
    begins.update(parts[-1][:1])
    field_ends = {*delimiter, *NEWLINE}
    if not (ends <= field_ends and begins <= field_ends | set(RETURN)):
        return True
    return RETURN[0] in begins and any(part[:1] == RETURN != part[:2] and part[1:2] != NEWLINE for part in parts[2::2])
