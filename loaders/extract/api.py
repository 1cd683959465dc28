"""One request to an API: temporary errors are retried, all others refused by name."""

from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import aiohttp
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_random_exponential
from yarl import URL

from loaders.errors import ExtractError
from loaders.extract.authentication import Authentication, Secrets
from loaders.extract.page import Page, PageReader
from loaders.extract.pagination import Request
from loaders.extract.rate_limit import RateLimit
from loaders.retry import FIRST_WAIT_SECONDS, MAX_WAIT_SECONDS

# Too early, too late, too many: the client's errors that another attempt may not meet.
TEMPORARY_STATUS = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)
SAID_CHARACTERS = 200


class TemporaryError(Exception):
    """The same request may succeed later; after `wait` seconds, where the API says so."""

    def __init__(self, said: str, wait: float | None = None) -> None:
        super().__init__(said)
        self.wait = wait


class Api:
    """Asks one API for pages; `say` hears of each error that is retried, and how long that waits."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        reader: PageReader,
        *,
        auth: Authentication,
        secrets: Secrets,
        rate_limit: RateLimit,
        retry_seconds: float,
        say: Callable[[str, float], None],
    ) -> None:
        self._session = session
        self._reader = reader
        self._auth = auth
        self._secrets = secrets
        self._rate_limit = rate_limit
        self._retry_seconds = retry_seconds
        self._say = say
        self._was_reached = False
        self._exponential = wait_random_exponential(multiplier=FIRST_WAIT_SECONDS, max=MAX_WAIT_SECONDS)

    async def get(self, request: Request) -> Page:
        """Return a page; ExtractError for what the API refuses, or still cannot do after `retry_seconds`."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TemporaryError),
            wait=self._wait,
            stop=stop_after_delay(self._retry_seconds),
            before_sleep=lambda state: self._say(f"{request.name}: {_error(state)}", state.upcoming_sleep),
            reraise=True,
        )
        try:
            return await retrying(self._try, request)
        except TemporaryError as error:
            raise ExtractError(
                f"{request.name}: {error}, for {self._retry_seconds:,.0f} s. See to the API, then run again."
            ) from None

    async def _try(self, request: Request) -> Page:
        try:
            used = self._auth.headers
            if not used:
                await self._auth.renew(self._session, used)
                used = self._auth.headers
            status, page = await self._send(request)
            if status == HTTPStatus.UNAUTHORIZED and await self._auth.renew(self._session, used):
                status, page = await self._send(request)
        except TimeoutError:
            raise TemporaryError("no answer in time") from None
        except aiohttp.InvalidURL:
            raise ExtractError(f"{request.name}: the API names a URL that is none. Correct `pagination`.") from None
        except aiohttp.ClientError as error:
            said = " ".join(self._secrets.redact(str(error)).split()) or type(error).__name__
            if isinstance(error, aiohttp.ClientSSLError) or (
                isinstance(error, aiohttp.ClientConnectorError) and not self._was_reached
            ):
                raise ExtractError(f"{request.name}: {said}. Correct `url`, or see to the API.") from None
            raise TemporaryError(said) from None
        if page is None:
            raise ExtractError(
                f"{request.name}: {status} Unauthorized: the API does not take the credentials, or no more. Renew what "
                "`auth` names, then run again."
            )
        return page

    async def _send(self, request: Request) -> tuple[int, Page | None]:
        """Send a request once; return the status, and the page unless the credentials are refused."""
        await self._rate_limit.turn()
        url = URL(request.url, encoded=request.parameters is None)
        parameters = {**(request.parameters or {}), **self._auth.parameters}
        async with self._session.get(
            url, params=_texts(parameters), headers=self._auth.headers, allow_redirects=False
        ) as answer:
            self._was_reached = True
            body = await answer.read()
            if answer.status == HTTPStatus.UNAUTHORIZED:
                return answer.status, None
            status = self._secrets.redact(f"{answer.status} {answer.reason}")
            if answer.status in TEMPORARY_STATUS or answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise TemporaryError(status, self._retry_after(f"{request.name}: {status}", answer))
            if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
                where = "" if answer.status >= HTTPStatus.BAD_REQUEST else " The credentials are not sent elsewhere."
                raise ExtractError(f"{request.name}: {status}.{where} The API said: {self._said(body)}")
            following = answer.links.get("next")
            link = None if following is None else following.get("url")
            try:
                page = self._reader.read(body, answer.headers, None if link is None else str(link))
            except ExtractError as error:
                raise ExtractError(f"{request.name}: {error}") from None
            return answer.status, page

    def _retry_after(self, what: str, answer: aiohttp.ClientResponse) -> float | None:
        """Return how long the API asks to wait; all other requests wait as long."""
        said = answer.headers.get("Retry-After", "").strip()
        try:
            if said.isdecimal():
                wait = float(said)
            else:
                wait = max((parsedate_to_datetime(said) - datetime.now(UTC)).total_seconds(), 0.0)
        except (ValueError, TypeError):
            return None
        if wait > self._retry_seconds:
            raise ExtractError(
                f"{what}: the API asks to wait for {wait:,.0f} s. Run again then, or raise --retry-seconds."
            )
        self._rate_limit.hold(wait)
        return wait

    def _wait(self, state: RetryCallState) -> float:
        wait = _error(state).wait
        return self._exponential(state) if wait is None else wait

    def _said(self, body: bytes) -> str:
        # Redacted before it is cut: half of a secret is one, too.
        said = " ".join(self._secrets.redact(body.decode(errors="replace")).split())
        return f"{said[:SAID_CHARACTERS]} ..." if len(said) > SAID_CHARACTERS else said or "nothing."


def _texts(parameters: dict[str, str | int | float | bool]) -> dict[str, str]:
    """Return parameters as they are sent: booleans in JSON's words."""
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in parameters.items()}


def _error(state: RetryCallState) -> TemporaryError:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, TemporaryError)  # noqa: S101 - tenacity asks after such an error only
    return error
