"""Single records against Python's csv module, and what is written of them against PostgreSQL's rules."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.csv_reader import Dialect, read_record, written
from tests.loaders.oracle import csv_records, postgresql_records

DIALECTS: dict[str, tuple[Dialect, dict[str, Any]]] = {
    "plain": (Dialect(), {}),
    "escape": (Dialect(escape=b"\\"), {"escapechar": "\\"}),
    "trim": (Dialect(trim=True), {"skipinitialspace": True}),
}


def read_all(text: str, dialect: Dialect) -> tuple[list[bytes], str]:
    """Read whole records; return them as they are written, and the text that is left."""
    data, at, records = text.encode(), 0, []
    while (read := read_record(data, at, dialect)) is not None:
        fields, at = read
        if fields is not None:
            records.append(written(fields, dialect))
    return records, data[at:].decode()


@pytest.mark.parametrize("name", DIALECTS)
@settings(max_examples=1500)
@given(text=st.text(alphabet='ab,"\n\\ ', max_size=40))
def test_records_are_read_as_csv_reads_them(name: str, text: str) -> None:
    dialect, options = DIALECTS[name]
    records, left = read_all(text + "\n", dialect)
    # csv makes a record of what never ends as well; the loader rejects it.
    whole = (text + "\n")[: len(text) + 1 - len(left)]
    expected = [record for record in csv_records(whole, **options) if record]
    assert postgresql_records(b"".join(records).decode()) == expected
    if left:
        assert len(csv_records(left, **options)) <= 1


def test_null_and_the_empty_text_stay_apart() -> None:
    assert read_all('a "b",,"",x\n', Dialect()) == ([b'"a ""b""",,"",x\n'], "")


def test_comments_and_blank_lines_are_no_records() -> None:
    text = '# a "comment\na,b\n\n\r\n#,\nc,d\n'
    assert read_all(text, Dialect(comment=b"#")) == ([b"a,b\n", b"c,d\n"], "")
    assert read_all("\na\n", Dialect(keep_blank_lines=True)) == ([b"\n", b"a\n"], "")


def test_ragged_records_get_the_width_of_their_table() -> None:
    text = 'a\na,b,c\na,b,c,,""\na,b,c,d\n'
    assert read_all(text, Dialect(width=3))[0] == [b"a,,\n", b"a,b,c\n", b"a,b,c\n", b"a,b,c,d\n"]


def test_quotes_that_are_ordinary_characters() -> None:
    dialect = Dialect(quote=b"", escape=b"", copy_quote=b"\x01")
    assert read_all('5" nail,"x\n', dialect) == ([b'5" nail,"x\n'], "")
    assert read_all("a\x01,b\n", dialect) == ([b"\x01a\x01\x01\x01,b\n"], "")


def test_a_carriage_return_in_a_record() -> None:
    with pytest.raises(ValueError, match="carriage return"):
        read_record(b"a\rb\n", 0, Dialect())
