"""An answer's records cut out of its bytes, unchanged: nothing is decoded but what says where the next page is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from loaders.errors import ExtractError
from loaders.extract.declaration import Extract, LinkedPagination, NumberedPagination

Level = dict[str, msgspec.Raw]


@dataclass(frozen=True, slots=True)
class Page:
    """The records of one answer, a line each without its end; `next` is a token or a URL, None on the last page."""

    records: list[bytes]
    total: int | None = None
    next: str | None = None


class PageReader:
    """Reads the pages of one declaration; ExtractError for an answer of another shape."""

    def __init__(self, declared: Extract) -> None:
        self._records = declared.records
        self._pagination = declared.pagination

    def read(self, body: bytes, headers: Mapping[str, str], link: str | None) -> Page:
        """Return the page of an answer; `link` is the next page's by the header Link."""
        if not body.strip():
            return Page([])
        try:
            found = _find(body, self._records)
            records = [bytes(one) for one in msgspec.json.decode(found, type=list[msgspec.Raw])]
        except (msgspec.DecodeError, TypeError, RecursionError):
            kind = headers.get("Content-Type", "no type")
            where = f"with a list at {self._records}" if self._records else "that is a list, and `records` names none"
            raise ExtractError(f"the answer ({kind}) is no JSON {where}. Correct `records`, or the URL.") from None
        if b"\n" in body or b"\r" in body:
            # JSON has them between its tokens only, where a space is the same.
            records = [one.replace(b"\r", b" ").replace(b"\n", b" ") for one in records]
        total = next_page = None
        match self._pagination:
            case NumberedPagination() as numbered:
                total = _count(headers.get(numbered.total_header or "", _value(body, numbered.total)))
            case LinkedPagination() as linked:
                next_page = _text(headers.get(linked.next_header or "", _value(body, linked.next)))
                if linked.kind == "link" and linked.next is None and linked.next_header is None:
                    next_page = link
        return Page(records, total, next_page)


def _find(body: bytes, path: str | None) -> bytes | msgspec.Raw:
    """Return the JSON at a path of names; TypeError or msgspec.DecodeError where there is none."""
    found: bytes | msgspec.Raw = body
    for name in path.split(".") if path else ():
        level = msgspec.json.decode(found, type=Level)
        if name not in level:
            raise TypeError
        found = level[name]
    return found


def _value(body: bytes, path: str | None) -> Any:
    if path is None:
        return None
    try:
        return msgspec.json.decode(_find(body, path))
    except (msgspec.DecodeError, TypeError):
        return None


def _count(value: Any) -> int | None:
    try:
        return None if value is None or isinstance(value, bool) else int(value)
    except (TypeError, ValueError):
        return None


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) and value != "" else None
