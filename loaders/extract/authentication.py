"""What each request carries to be let in, and what must never be printed of it."""

import base64
import html
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

import aiohttp

from loaders.errors import ExtractError, SettingError
from loaders.extract.declaration import Basic, Bearer, ClientCredentials, Extract, Header, Parameter

HIDDEN = "***"


class Secrets:
    """Values that no message may hold, in whatever spelling an API may give them back."""

    def __init__(self) -> None:
        self._patterns: dict[str, re.Pattern[str]] = {}

    def read(self, name: str, where: str, environ: Mapping[str, str] = os.environ) -> str:
        """Return the environment variable `name`; SettingError if it is not set, or cannot be sent."""
        # The name is not repeated: should it be the secret itself, nobody reads it in a log.
        value = environ.get(name, "").strip()
        if not value:
            raise SettingError(f"{where}: the environment variable that it names is not set. Set it.")
        if not value.isprintable():
            raise SettingError(f"{where}: its environment variable holds control characters. Set it anew.")
        return self.add(value)

    def add(self, value: str) -> str:
        """Hide the value from now on, and return it."""
        self._patterns[value] = re.compile("".join(map(_spellings, value)), re.IGNORECASE)
        return value

    def redact(self, text: str) -> str:
        """Return the text without any of the values."""
        # The longest first: a shorter one may be a part of it.
        for value in sorted(self._patterns, key=len, reverse=True):
            text = self._patterns[value].sub(HIDDEN, text)
        return text


def _spellings(character: str) -> str:
    """Return a pattern of what a character may be written as: plain, or escaped for a URL, JSON or HTML."""
    number = ord(character)
    spellings = [
        rf"\\?{re.escape(character)}",
        "".join(f"%{byte:02x}" for byte in character.encode()),
        rf"\\u{number:04x}",
        f"&#{number};",
        f"&#x{number:x};",
        re.escape(html.escape(character)),
        *([r"\+"] if character == " " else []),
    ]
    return f"(?:{'|'.join(spellings)})"


@dataclass
class Authentication:
    """Headers and parameters of each request, the same throughout."""

    headers: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)

    async def renew(self, session: aiohttp.ClientSession, used: Mapping[str, str]) -> bool:
        """Get other headers than those `used`, which the API refused; False if there are none."""
        return False


@dataclass
class TokenAuthentication(Authentication):
    """Tokens by OAuth 2's client credentials, a new one whenever the API refuses the last."""

    url: str = ""
    form: dict[str, str] = field(default_factory=dict)
    secrets: Secrets = field(default_factory=Secrets)

    async def renew(self, session: aiohttp.ClientSession, used: Mapping[str, str]) -> bool:
        """Get a token; ExtractError if there is none to get."""
        # Another request may have fetched one in between.
        if self.headers != used:
            return True
        async with session.post(self.url, data=self.form, allow_redirects=False) as answer:
            if answer.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise aiohttp.ClientPayloadError(f"{answer.status} for a token")
            try:
                token = self.secrets.add(str((await answer.json(content_type=None))["access_token"]))
            except (ValueError, KeyError, TypeError):
                raise ExtractError(
                    f"auth.token_url gives no token ({answer.status}). Check the variables that client_id and "
                    "client_secret name."
                ) from None
        self.headers = {"Authorization": f"Bearer {token}"}
        return True


def authentication(declared: Extract, where: str, secrets: Secrets) -> Authentication:
    """Return what authenticates the requests, its secrets read from the environment."""
    auth = declared.auth
    match auth:
        case Bearer():
            return Authentication({"Authorization": f"Bearer {secrets.read(auth.token, f'{where}.auth.token')}"})
        case Basic():
            user = secrets.read(auth.user, f"{where}.auth.user")
            password = secrets.read(auth.password, f"{where}.auth.password")
            both = secrets.add(base64.b64encode(f"{user}:{password}".encode()).decode())
            return Authentication({"Authorization": f"Basic {both}"})
        case Header():
            return Authentication({auth.name: secrets.read(auth.value, f"{where}.auth.value")})
        case Parameter():
            return Authentication(parameters={auth.name: secrets.read(auth.value, f"{where}.auth.value")})
        case ClientCredentials():
            form = {
                "grant_type": "client_credentials",
                "client_id": secrets.read(auth.client_id, f"{where}.auth.client_id"),
                "client_secret": secrets.read(auth.client_secret, f"{where}.auth.client_secret"),
            }
            return TokenAuthentication(url=auth.token_url, form=form, secrets=secrets)
    return Authentication()
