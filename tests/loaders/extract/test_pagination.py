"""Numbered pages of a list that changes while it is read: nothing that is there throughout is missed."""

import random
from collections import deque

import pytest

from loaders.errors import ExtractError
from loaders.extract.declaration import Extract
from loaders.extract.page import Page
from loaders.extract.pagination import NumberedPages, Request, pagination

SIZE = 10


class Moving:
    """A list behind an API, pages of which are asked for in order, read at random moments, and accepted in order."""

    def __init__(self, kind: str, dice: random.Random, *, has_total: bool = True) -> None:
        parameter = {"kind": kind, "parameter": "p", "total": "total" if has_total else None}
        declared = Extract.model_validate({"url": "http://api", "pagination": parameter, "page_size": SIZE})
        pages = pagination(declared, {})
        assert isinstance(pages, NumberedPages)
        self.pages = pages
        self.kind, self.dice, self.has_total = kind, dice, has_total
        self.rows = list(range(dice.randrange(0, 120)))
        self.throughout = set(self.rows)
        self.made = len(self.rows)

    def change(self) -> None:
        """Delete or insert some rows, anywhere."""
        for _ in range(self.dice.choice([0, 0, 1, 1, 2, 15])):
            if self.dice.random() < 0.6 and self.rows:
                self.throughout.discard(self.rows.pop(self.dice.randrange(len(self.rows))))
            else:
                self.rows.insert(self.dice.randrange(len(self.rows) + 1), self.made)
                self.made += 1

    def read(self, request: Request) -> Page:
        number = int((request.parameters or {})["p"])
        start = number if self.kind == "offset" else (number - 1) * SIZE
        rows = [str(row).encode() for row in self.rows[start : start + SIZE]]
        return Page(rows, total=len(self.rows) if self.has_total else None)

    def run(self, requests: int, changes: int) -> list[int]:
        """Return the rows of all pages that were accepted."""
        got: list[int] = []
        under_way: deque[tuple[Request, list[Page]]] = deque()
        while True:
            while len(under_way) < requests and (request := self.pages.next_request()):
                under_way.append((request, []))
            if not under_way:
                return got
            # Those under way are answered in any order, the list changing in between.
            for request, answers in self.dice.sample(list(under_way), len(under_way)):
                if not answers and (self.dice.random() < 0.5 or request is under_way[0][0]):
                    answers.append(self.read(request))
                    if changes > 0 and self.dice.random() < 0.3:
                        changes -= 1
                        # One kind of change at a time leaves a trace in the total.
                        self.change()
            _, [page] = under_way.popleft()
            if self.pages.accept(page):
                got += [int(record) for record in page.records]
            else:
                under_way.clear()


class Shrinking(Moving):
    """Rows only go, or only come: what both at once do to pages no total can show."""

    def change(self) -> None:
        for _ in range(self.dice.choice([1, 1, 2, 15])):
            if self.rows:
                self.throughout.discard(self.rows.pop(self.dice.randrange(len(self.rows))))


class Growing(Moving):
    def change(self) -> None:
        for _ in range(self.dice.choice([1, 1, 2, 15])):
            self.rows.insert(self.dice.randrange(len(self.rows) + 1), self.made)
            self.made += 1


@pytest.mark.parametrize("requests", [1, 4])
@pytest.mark.parametrize("kind", ["page", "offset"])
@pytest.mark.parametrize("moving", [Shrinking, Growing])
def test_rows_that_were_there_throughout_are_read(moving: type[Moving], kind: str, requests: int) -> None:
    changed = 0
    for seed in range(300):
        feed = moving(kind, random.Random(seed))
        before = len(feed.rows)
        got = feed.run(requests, changes=3)
        changed += len(feed.rows) != before
        assert feed.throughout <= set(got), f"seed {seed}"
    assert changed > 100


@pytest.mark.parametrize("has_total", [True, False])
@pytest.mark.parametrize("requests", [1, 4])
@pytest.mark.parametrize("kind", ["page", "offset"])
def test_a_list_that_stands_still_is_read_once(kind: str, requests: int, has_total: bool) -> None:
    for seed in range(50):
        feed = Moving(kind, random.Random(seed), has_total=has_total)
        assert feed.run(requests, changes=0) == feed.rows


def test_a_total_that_goes_up_and_down_is_refused() -> None:
    feed = Moving("page", random.Random(1))
    feed.rows = list(range(100))
    totals = iter([100, 90] * 1000)

    def read_all() -> None:
        while request := feed.pages.next_request():
            feed.pages.accept(Page(feed.read(request).records, total=next(totals)))

    with pytest.raises(ExtractError, match="goes up and down"):
        read_all()


def test_a_page_that_was_the_last_is_read_again_once_it_has_grown() -> None:
    feed = Moving("offset", random.Random(1), has_total=False)
    feed.rows = list(range(15))
    got: list[bytes] = []
    while request := feed.pages.next_request():
        page = feed.read(request)
        got += page.records if feed.pages.accept(page) else []
        if len(got) == 15:
            feed.rows = list(range(33))
    assert {int(one) for one in got} == set(range(33))
