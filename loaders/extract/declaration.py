"""What `config.meta.extract` of a source table says: the API, its pages, its cursor. Secrets are named, never held."""

import os
import string
from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from loaders.errors import SourceError
from loaders.sources import SourceTable

# A secret put here by mistake is refused for its spelling; no message repeats what was declared.
VariableName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]*$")]
Parameters = Mapping[str, str | int | float | bool]


class Declared(BaseModel):
    """A part of the declaration: unknown keys and values of another type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)


class Bearer(Declared):
    """`Authorization: Bearer`, with the token of an environment variable."""

    kind: Literal["bearer"]
    token: VariableName


class Basic(Declared):
    """HTTP's basic authentication, user and password each of an environment variable."""

    kind: Literal["basic"]
    user: VariableName
    password: VariableName


class Header(Declared):
    """A header of its own, such as X-Api-Key."""

    kind: Literal["header"]
    name: str
    value: VariableName


class Parameter(Declared):
    """A parameter of the query."""

    kind: Literal["parameter"]
    name: str
    value: VariableName


class ClientCredentials(Declared):
    """OAuth 2: tokens come from `token_url`, a new one when the last expires."""

    kind: Literal["client_credentials"]
    token_url: str
    client_id: VariableName
    client_secret: VariableName


Authentication = Annotated[Bearer | Basic | Header | Parameter | ClientCredentials, Field(discriminator="kind")]


class NumberedPagination(Declared):
    """Pages by number, or by the offset of their first record; `total` is where the answer says how many there are."""

    kind: Literal["page", "offset"]
    parameter: str
    size_parameter: str | None = None
    first: int | None = None
    total: str | None = None
    total_header: str | None = None

    @property
    def first_number(self) -> int:
        """The number of the first page: 1, unless it is declared; offsets begin at 0."""
        return self.first if self.first is not None else int(self.kind == "page")


class LinkedPagination(Declared):
    """Each page says where the next one is: by a token for `parameter`, or by its URL.

    `next` is a path into the answer; without it, and without `next_header`, a link is that of the header Link.
    """

    kind: Literal["cursor", "link"]
    parameter: str | None = None
    size_parameter: str | None = None
    next: str | None = None
    next_header: str | None = None

    @model_validator(mode="after")
    def _check(self) -> "LinkedPagination":
        if self.kind == "cursor" and (self.parameter is None or (self.next or self.next_header) is None):
            raise ValueError("a cursor needs `parameter`, and `next` or `next_header`")
        if self.kind == "link" and self.parameter is not None:
            raise ValueError("a link has all parameters of its own: remove `parameter`")
        return self


class NoPagination(Declared):
    """One answer has all records."""

    kind: Literal["none"]


Pagination = Annotated[NumberedPagination | LinkedPagination | NoPagination, Field(discriminator="kind")]


class Cursor(Declared):
    """The next run asks for what changed since: the greatest value of `field` is sent as `parameter`."""

    field: str
    parameter: str


class Extract(Declared):
    """Where and how a source table's records are asked for; `records` is the path of their list in an answer."""

    url: str
    auth: Authentication | None = None
    records: str | None = None
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)
    pagination: Pagination
    page_size: int = Field(default=100, gt=0)
    cursor: Cursor | None = None
    requests_per_minute: float | None = Field(default=None, gt=0, strict=False)
    timeout_seconds: float = Field(default=60, gt=0, strict=False)


def read_declaration(source: SourceTable, environ: Mapping[str, str] = os.environ) -> Extract:
    """Return what the source declares, variables in its URLs replaced; SourceError for what cannot be used."""
    where = f"{source.name}: config.meta.extract"
    if source.extract is None:
        raise SourceError(f"{where} is not declared. Declare the API there: docs/adding-a-source.md shows how.")
    try:
        declared = Extract.model_validate(source.extract)
    except ValidationError as error:
        said = (".".join(str(part) for part in one["loc"]) + f": {one['msg']}." for one in error.errors())
        raise SourceError("\n".join(f"{where}.{one}" for one in said)) from None
    bronze = source.bronze
    if bronze.copy_format.kind != "jsonl":
        raise SourceError(f"{where} writes NDJSON, and bronze.format is {bronze.copy_format.kind}. Declare jsonl.")
    if bronze.delivers == "partitions":
        raise SourceError(f"{where}: a run never writes a path again. Declare bronze.delivers: changes, or full.")
    if bronze.delivers == "full" and declared.cursor is not None:
        raise SourceError(f"{where}: a run that is the whole table has no cursor. Remove cursor, or delivers: full.")
    auth = declared.auth
    if isinstance(auth, ClientCredentials):
        auth = auth.model_copy(update={"token_url": _url(auth.token_url, f"{where}.auth.token_url", environ)})
    return declared.model_copy(update={"url": _url(declared.url, f"{where}.url", environ), "auth": auth})


def _url(declared: str, where: str, environ: Mapping[str, str]) -> str:
    """Return a URL with ${NAME} replaced; its value is not repeated, since a password could stand in it."""
    try:
        url = string.Template(declared).substitute(environ)
        parts = urlsplit(url)
        is_usable = parts.scheme in ("http", "https") and bool(parts.hostname)
    except KeyError as error:
        raise SourceError(f"{where}: the environment variable {error.args[0]} is not set. Set it.") from None
    except ValueError:
        is_usable = False
    if not is_usable:
        raise SourceError(f"{where} is no http or https URL. Correct it, or the variables in it.")
    if parts.username is not None or parts.password is not None:
        raise SourceError(f"{where} holds a user or a password. Declare `auth`, which names environment variables.")
    return url
