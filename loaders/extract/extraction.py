"""The extraction of one source table: pages from its API, in their order, into a run."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import aiohttp

from loaders.bronze import BronzeRoot
from loaders.errors import SettingError
from loaders.extract.api import Api
from loaders.extract.authentication import Secrets, authentication
from loaders.extract.cursor import CursorReader
from loaders.extract.declaration import NumberedPagination, read_declaration
from loaders.extract.page import Page, PageReader
from loaders.extract.pagination import Pagination, pagination
from loaders.extract.rate_limit import RateLimit
from loaders.extract.run import FinishedRun, Run, finished_runs, folder_of
from loaders.retry import RETRY_SECONDS
from loaders.sources import SourceTable

USER_AGENT = "ingot"
# What --since takes beside a run.
BEGINNING = "beginning"


@dataclass(frozen=True, kw_only=True)
class ExtractOptions:
    """What the command line says of an extraction."""

    since: str | None = None
    max_pages: int | None = None
    requests: int = 1
    retry_seconds: float = RETRY_SECONDS


@dataclass(frozen=True, kw_only=True)
class ExtractResult:
    """A run that was written: files, stored bytes, records, pages, seconds, and the cursor that the next one sends."""

    source: str
    run_id: str
    files: int
    records: int
    pages: int
    bytes: int
    seconds: float
    cursor: str | int | None

    @property
    def records_per_second(self) -> float:
        """Records extracted a second."""
        return self.records / self.seconds


class Extraction:
    """The extraction of one source table; `say` hears of each error that is retried, and how long that waits."""

    def __init__(
        self,
        source: SourceTable,
        *,
        root: BronzeRoot,
        options: ExtractOptions,
        say: Callable[[str, float], None],
    ) -> None:
        self._source = source
        self._root = root
        self._options = options
        self._say = say
        self._declared = read_declaration(source)
        self._secrets = Secrets()
        self._auth = authentication(self._declared, f"{source.name}: config.meta.extract", self._secrets)
        self._check_options()
        folder_of(source)

    def run(self) -> ExtractResult:
        """Write one run; what fails leaves nothing that lands, and the next run begins where this one did."""
        started = time.perf_counter()
        since = self._since()
        run = Run.begin(self._root, self._source)
        try:
            pages, cursor = asyncio.run(self._write(run, since))
            run.finish(
                source=self._source.name,
                pages=pages,
                max_pages=self._options.max_pages,
                since=since.run_id if since is not None else None,
                cursor=self._cursor(cursor),
            )
        except BaseException:
            run.discard()
            raise
        return ExtractResult(
            source=self._source.name,
            run_id=run.run_id,
            files=len(run.files),
            records=run.records,
            pages=pages,
            bytes=run.stored_bytes,
            seconds=time.perf_counter() - started,
            cursor=cursor,
        )

    async def _write(self, run: Run, since: FinishedRun | None) -> tuple[int, str | int | None]:
        """Write the pages into the run; return how many they were, and the next run's cursor."""
        declared, before = self._declared, since.cursor_value if since is not None else None
        reader = CursorReader(declared.cursor, run.began_at) if declared.cursor is not None else None
        parameters = {declared.cursor.parameter: before} if declared.cursor is not None and before is not None else {}
        count = 0
        async with self._session() as session:
            api = Api(
                session,
                PageReader(declared),
                auth=self._auth,
                rate_limit=RateLimit(declared.requests_per_minute),
                secrets=self._secrets,
                retry_seconds=self._options.retry_seconds,
                say=self._say,
            )
            # Closed before the session is, whatever ends it: requests are under way.
            async with aclosing(self._pages(api, pagination(declared, parameters))) as pages:
                async for page in pages:
                    count += 1
                    if reader is not None:
                        reader.add(page.records)
                    # In a thread: compressing lets go of the interpreter, and the next answer arrives meanwhile.
                    await asyncio.to_thread(run.write, page.records)
        if reader is None:
            return count, None
        reader.check()
        # What lies behind the last page of some is not known to be later than what they hold.
        is_whole = self._options.max_pages is None or count < self._options.max_pages
        return count, reader.value if is_whole and reader.value is not None else before

    async def _pages(self, api: Api, pages: Pagination) -> AsyncGenerator[Page]:
        """Yield the pages that count, in their order; `requests` of them are asked for at once."""
        under_way: deque[asyncio.Task[Page]] = deque()
        limit, kept = self._options.max_pages, 0

        def ask() -> None:
            while len(under_way) < self._options.requests and (limit is None or kept + len(under_way) < limit):
                request = pages.next_request()
                if request is None:
                    return
                under_way.append(asyncio.create_task(api.get(request)))

        try:
            ask()
            while under_way:
                page = await under_way.popleft()
                if pages.accept(page):
                    kept += 1
                    # Under way while the caller works on this page.
                    ask()
                    yield page
                else:
                    await _cancel(under_way)
                    ask()
        finally:
            await _cancel(under_way)

    def _session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=self._options.requests),
            timeout=aiohttp.ClientTimeout(total=self._declared.timeout_seconds),
            headers={"User-Agent": USER_AGENT},
            # Proxies by their usual variables.
            trust_env=True,
        )

    def _since(self) -> FinishedRun | None:
        """Return the run from whose cursor this one goes on, None for the beginning."""
        wanted, declared = self._options.since, self._declared.cursor
        if declared is None or wanted == BEGINNING:
            return None
        runs = finished_runs(self._root, self._source)
        found = next((run for run in runs if wanted in (None, run.run_id)), None)
        if wanted is not None and found is None:
            raise SettingError(
                f"{self._source.name}: --since {wanted}: no such run of extract has a manifest. Use the run_id of one "
                f"that has, or {BEGINNING}."
            )
        # The cursor of another field would be sent as this one's.
        return found if found is not None and found.cursor_field == declared.field else None

    def _cursor(self, value: str | int | None) -> dict[str, Any] | None:
        declared = self._declared.cursor
        return None if declared is None or value is None else {"field": declared.field, "value": value}

    def _check_options(self) -> None:
        name, options, declared = self._source.name, self._options, self._declared
        if options.requests > 1 and not isinstance(declared.pagination, NumberedPagination):
            raise SettingError(
                f"{name}: each of its pages names the next, so they come one after another. Leave --requests out."
            )
        if options.max_pages is not None and self._source.bronze.delivers == "full":
            raise SettingError(f"{name}: a run is its whole table, and some pages are not. Leave --max-pages out.")
        if options.since is not None and declared.cursor is None:
            raise SettingError(f"{name}: it declares no cursor, so each run has all records. Leave --since out.")


async def _cancel(tasks: "deque[asyncio.Task[Page]]") -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    tasks.clear()
