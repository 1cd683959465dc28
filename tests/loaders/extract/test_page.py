"""Records cut out of answers: their bytes as they came, a line each."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from loaders.errors import ExtractError
from loaders.extract.declaration import Extract
from loaders.extract.page import Page, PageReader

PAGES = {"kind": "page", "parameter": "page", "total": "meta.total"}
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def read(body: bytes, headers: dict[str, str] | None = None, link: str | None = None, **declared: Any) -> Page:
    extract = {"url": "http://api", "records": "data", "pagination": PAGES, **declared}
    return PageReader(Extract.model_validate(extract)).read(body, headers or {}, link)


def test_bytes_stay_as_they_are() -> None:
    rows = [rb'{"n":1.10,"e":1E+2,"big":123456789012345678901234567890}', rb'{"u":"\u00e9 \/ \ud83d\ude00"}', b"null"]
    assert read(b'{"meta": {"total": "3"}, "data": [' + b" , ".join(rows) + b"]}") == Page(rows, total=3)


@settings(max_examples=50)
@given(st.lists(VALUES, max_size=3), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_any_json_is_cut_into_lines(rows: list[Any], indent: int | str | None, ascii_only: bool) -> None:
    body = json.dumps({"before": rows, "data": rows}, indent=indent, ensure_ascii=ascii_only).encode(errors="replace")
    rows = json.loads(body)["data"]
    page = read(body)
    assert not any(b"\n" in record or b"\r" in record for record in page.records)
    assert [json.loads(record) for record in page.records] == rows
    assert len(page.records) == len(rows)


@pytest.mark.parametrize(
    ("body", "declared", "page"),
    [
        (b"[1, 2]", {"records": None}, Page([b"1", b"2"])),
        (b"", {}, Page([])),
        (b'{"a": {"b": [7]}}', {"records": "a.b"}, Page([b"7"])),
        (b'{"data": [], "next": ""}', {"pagination": {"kind": "cursor", "parameter": "p", "next": "next"}}, Page([])),
        (
            b'{"data": [], "next": 5}',
            {"pagination": {"kind": "cursor", "parameter": "p", "next": "next"}},
            Page([], next="5"),
        ),
        (b'{"data": []}', {"pagination": {"kind": "cursor", "parameter": "p", "next_header": "X"}}, Page([], next="t")),
        (b'{"data": []}', {"pagination": {"kind": "page", "parameter": "p", "total_header": "N"}}, Page([], total=9)),
        (b'{"data": []}', {"pagination": {"kind": "link"}}, Page([], next="http://api/2")),
    ],
)
def test_where_things_stand(body: bytes, declared: dict[str, Any], page: Page) -> None:
    assert read(body, {"X": "t", "N": "9"}, "http://api/2", **declared) == page


def test_deep_json_is_no_crash() -> None:
    with pytest.raises(ExtractError, match="no JSON with a list at data"):
        read(b'{"data": ' + b"[" * 100_000)
