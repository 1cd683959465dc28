"""Quotes against Python's csv module: what is called regular reads alike in PostgreSQL, the rest is written anew."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from loaders.quotes import has_stray_quote
from tests.loaders.oracle import csv_records, postgresql_records

REGULAR = [
    "a,b\n",
    '"a","b"\n',
    '"a","b"\r\n"c",d\r\n',
    'a,"b, ""c"" d"\n',
    '"",""\n',
    '"""",""""""\n',
    '"a\nb",c\n',
    ',"",\n',
    '",",","\n',
]
STRAY = [
    '1,5" nail,x\n2,6" nail,y\n',
    '37.8"N,x"y\n',
    'a, "b"\n',
    '"b" ,a\n',
    '"say "hi"",b\n',
    '"a"b\n',
    '"a"\rb\n',
    '"say \\"hi\\""\n',
]


@pytest.mark.parametrize("text", REGULAR)
def test_regular_quotes(text: str) -> None:
    assert not has_stray_quote(text.encode().split(b'"'), b",")
    assert postgresql_records(text) == csv_records(text)


@pytest.mark.parametrize("text", STRAY)
def test_stray_quotes(text: str) -> None:
    assert has_stray_quote(text.encode().split(b'"'), b",")


def test_many_parts_are_told_apart_like_few() -> None:
    good = "".join(f'{number},"text",x{number}\n' for number in range(5000))
    assert not has_stray_quote(good.encode().split(b'"'), b",")
    assert has_stray_quote((good + '1, "text",x\n').encode().split(b'"'), b",")
    dense = '"a","b"\n' * 5000
    assert not has_stray_quote(dense.encode().split(b'"'), b",")
    assert has_stray_quote((dense + '"a" ,"b"\n').encode().split(b'"'), b",")


@given(st.text(alphabet='a,"\n \r\\', max_size=40))
@settings(max_examples=2000)
@example('"",\n"')
def test_what_has_no_stray_quote_reads_alike_in_postgresql(text: str) -> None:
    text += "\n"
    parts = text.encode().split(b'"')
    if len(parts) % 2 == 1 and not has_stray_quote(parts, b",") and "\r" not in text.replace("\r\n", ""):
        # csv drops empty lines, which the loader rejects or skips before this question is asked.
        assert [row for row in postgresql_records(text) if row != [""]] == [
            row for row in csv_records(text) if row not in ([], [""])
        ]
