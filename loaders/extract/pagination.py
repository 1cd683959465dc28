"""Which pages to ask for, and whether those that came can be the truth: totals that change, pages that repeat.

A page that is asked for by its number moves when records before it come or go. Where a total is declared, one that
falls between two pages shows it: records may have moved to pages that were read before, so as many of these are read
again. A record that is read twice lands twice, and counts once; one that moved back unseen would be lost.
"""

from array import array
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urljoin, urlsplit

import blake3

from loaders.errors import ExtractError
from loaders.extract.declaration import Extract, LinkedPagination, NumberedPagination, Parameters
from loaders.extract.page import Page

# How many pages may be read again before a total that goes up and down is taken for no count at all.
MAX_PAGES_AGAIN = 100


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for: a URL with parameters, None where the URL has its own. `name` is what messages call it."""

    url: str
    parameters: Parameters | None
    name: str


class Pagination(Protocol):
    """The pages of one run, asked for and then accepted in their order."""

    def next_request(self) -> Request | None:
        """Return the next request to send, None while that depends on pages that have yet to be accepted."""

    def accept(self, page: Page) -> bool:
        """Take the next page; False if pages before it must be read again, and requests under way be dropped."""


def pagination(declared: Extract, parameters: Parameters) -> Pagination:
    """Return the pages of a run whose requests have these parameters, beside the pages' own."""
    kind = declared.pagination
    size = getattr(kind, "size_parameter", None)
    parameters = {**declared.parameters, **parameters, **({size: declared.page_size} if size else {})}
    if isinstance(kind, NumberedPagination):
        return NumberedPages(declared.url, parameters, kind, declared.page_size)
    return LinkedPages(declared.url, parameters, kind if isinstance(kind, LinkedPagination) else None)


@dataclass
class Repeats:
    """Finds a page that came before: the last one, or in a circle of pages, in constant memory (Brent's algorithm)."""

    _last: bytes = b""
    _mark: bytes = b""
    _seen: int = 0

    def add(self, content: bytes) -> bool:
        """Tell whether the content came before."""
        digest = blake3.blake3(content).digest()
        if digest in (self._last, self._mark):
            return True
        self._last = digest
        self._seen += 1
        # A mark at every power of two: whatever the circle's length, one mark lies in it and stays long enough.
        if self._seen & (self._seen - 1) == 0:
            self._mark = digest
        return False


@dataclass
class NumberedPages:
    """Pages by number or offset. Several can be under way, once the first has said how many there are."""

    url: str
    parameters: Parameters
    declared: NumberedPagination
    page_size: int
    _lengths: "array[int]" = field(default_factory=lambda: array("L"))
    _sent: int = 0
    _seen: int = 0
    _total: int | None = None
    _read_again: int = 0
    _short_before: int = -1
    _is_done: bool = False
    _repeats: Repeats = field(default_factory=Repeats)

    def next_request(self) -> Request | None:
        """Return the next page's request."""
        under_way = self._sent - len(self._lengths)
        if self._is_done or (under_way and (not self._lengths or self._covers_all)):
            return None
        step = self.page_size if self.declared.kind == "offset" else 1
        number = self.declared.first_number + self._sent * step
        self._sent += 1
        name = f"{self.declared.kind} {number}"
        return Request(self.url, {**self.parameters, self.declared.parameter: number}, name)

    def accept(self, page: Page) -> bool:
        """Take the next page."""
        number = len(self._lengths) + 1
        if self._total is not None and page.total is not None and page.total < self._total:
            gone, self._total = self._total - page.total, page.total
            return self._step_back(gone)
        if page.total is not None and page.total != self._total:
            # As many records as a page has, come before it, make a page equal to the one before.
            self._total, self._repeats = page.total, Repeats()
        if not page.records:
            if self._total is not None and self._seen < self._total:
                raise ExtractError(
                    f"page {number} is empty after {self._seen:,} of {self._total:,} records. Correct "
                    "pagination.total, or run again."
                )
            self._is_done = True
            return True
        if self._repeats.add(b"\n".join(page.records)):
            raise ExtractError(
                f"page {number} holds what a page before it held. Correct pagination.parameter; where the API gives "
                "its last page again and again, declare pagination.total."
            )
        is_offset = self.declared.kind == "offset"
        if is_offset and len(page.records) > self.page_size:
            raise ExtractError(
                f"page {number} has {len(page.records):,} records, and {self.page_size:,} were asked for. Correct "
                "page_size, or pagination.size_parameter."
            )
        if self._lengths and self._lengths[-1] < self._size:
            # A page that was the last has one behind it: it may have grown since, unless it is as short again.
            if self._short_before != number:
                self._short_before = number
                return self._step_back(1)
            if is_offset:
                raise ExtractError(
                    f"page {number - 1} has {self._lengths[-1]:,} records where {self.page_size:,} were asked for, and "
                    "is not the last. Set page_size to what the API gives at most."
                )
        self._lengths.append(len(page.records))
        self._seen += len(page.records)
        self._is_done = self._total is not None and self._seen >= self._total
        return True

    def _step_back(self, records: int) -> bool:
        """Read the pages of the last so many records again."""
        while records > 0 and self._lengths:
            last = self._lengths.pop()
            self._seen -= last
            records -= last
            self._read_again += 1
        if self._read_again > len(self._lengths) + MAX_PAGES_AGAIN:
            raise ExtractError(
                "the total goes up and down from page to page, as no count does. Remove pagination.total, or use a "
                "cursor where the API has one."
            )
        self._sent = len(self._lengths)
        self._repeats = Repeats()
        return False

    @property
    def _size(self) -> int:
        return self.page_size if self.declared.kind == "offset" or not self._lengths else self._lengths[0]

    @property
    def _covers_all(self) -> bool:
        return self._total is not None and self._sent * self._size >= self._total


@dataclass
class LinkedPages:
    """Pages of which each names the next; the one after another."""

    url: str
    parameters: Parameters
    declared: LinkedPagination | None
    _request: Request | None = field(init=False)
    _pages: int = 0
    _contents: Repeats = field(default_factory=Repeats)
    _tokens: Repeats = field(default_factory=Repeats)

    def __post_init__(self) -> None:
        self._request = Request(self.url, self.parameters, "page 1")
        self._current = self.url

    def next_request(self) -> Request | None:
        """Return the request that the last page named."""
        request, self._request = self._request, None
        return request

    def accept(self, page: Page) -> bool:
        """Take the next page."""
        self._pages += 1
        if page.records and self._contents.add(b"\n".join(page.records)):
            raise ExtractError(f"page {self._pages} holds what a page before it held. Correct `pagination`.")
        if page.next is None or self.declared is None:
            return True
        if self._tokens.add(page.next.encode()):
            raise ExtractError(f"page {self._pages} names a next page that was read before. Correct pagination.next.")
        name = f"page {self._pages + 1}"
        if self.declared.parameter is not None:
            self._request = Request(self.url, {**self.parameters, self.declared.parameter: page.next}, name)
            return True
        self._current = urljoin(self._current, page.next)
        # Credentials go along: to the API's own host, and no other.
        if urlsplit(self._current)[:2] != urlsplit(self.url)[:2]:
            raise ExtractError(
                f"page {self._pages} names a next page on another host than the declared URL's. Refused."
            )
        self._request = Request(self._current, None, name)
        return True
