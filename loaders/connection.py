"""Where the database is: the standard PG* variables, and the local server where they are unset."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

import psycopg

from loaders.errors import ServerError, SettingError
from loaders.session import prepare_session

LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
# The addresses at which this process has had a session: from then on a failure to connect may be temporary.
_reached: set["Address"] = set()


@dataclass(frozen=True, kw_only=True)
class Address:
    """The database that the PG* variables name; profiles.yml has the same defaults."""

    host: str = "127.0.0.1"
    port: int = 54329
    database: str = "ingot"
    user: str = "ingot"
    # Not a secret: the local server listens on loopback only, and `dbt build` must work without a set-up.
    password: str = "ingot"  # noqa: S105

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Address":
        """Read PGHOST, PGPORT, PGDATABASE, PGUSER and PGPASSWORD; SettingError if PGPORT is no port."""
        port = environ.get("PGPORT") or str(cls.port)
        if not port.isdecimal() or not 0 < int(port) < 65536:
            raise SettingError(f"PGPORT is {port!r}: set it to a port number, 1 to 65535, or unset it.")
        return cls(
            host=environ.get("PGHOST") or cls.host,
            port=int(port),
            database=environ.get("PGDATABASE") or cls.database,
            user=environ.get("PGUSER") or cls.user,
            password=environ.get("PGPASSWORD") or cls.password,
        )

    @property
    def is_local(self) -> bool:
        """Whether the local server may stand at this address."""
        return self.host in LOOPBACK_HOSTS

    @property
    def conninfo(self) -> str:
        """The libpq connection string; every other PG* variable (PGSSLMODE ...) applies as libpq reads it."""
        return psycopg.conninfo.make_conninfo(
            host=self.host, port=self.port, dbname=self.database, user=self.user, password=self.password
        )

    @property
    def url(self) -> str:
        """The address as a URL, with the password masked."""
        return f"postgresql://{quote(self.user)}:****@{self.host}:{self.port}/{quote(self.database)}"

    @property
    def psql_url(self) -> str:
        """The address as psql takes it; it holds no password but the local server's, which is no secret."""
        password = f":{self.password}" if self.password == Address.password else ""
        return self.url.replace(":****", password)

    @property
    def environment(self) -> dict[str, str]:
        """The PG* variables that name this address, for a child process."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGDATABASE": self.database,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
        }


def connect(address: Address, *, application_name: str = "ingot") -> psycopg.Connection:
    """Open an autocommit connection, prepared for a load; ServerError names the address, the reason and the remedy."""
    try:
        connection = _open(address, application_name)
        try:
            prepare_session(
                connection, is_known=address in _reached, open_another=lambda: _open(address, application_name)
            )
        except BaseException:
            connection.close()
            raise
    except psycopg.OperationalError as error:
        raise ServerError(f"{address.url}: {_reason(error)} {_remedy(address, str(error))}") from error
    except ServerError as error:
        raise ServerError(f"{address.url}: {error}") from error
    _reached.add(address)
    return connection


def was_reached(address: Address) -> bool:
    """Tell whether this process has connected to the address before."""
    return address in _reached


def _open(address: Address, application_name: str) -> psycopg.Connection:
    return psycopg.connect(address.conninfo, autocommit=True, connect_timeout=10, application_name=application_name)


def _reason(error: psycopg.OperationalError) -> str:
    """Return the first line of what libpq said, as a sentence; the next ones are hints."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].rstrip(".") + "." if lines else "no connection."


def _remedy(address: Address, said: str) -> str:
    # libpq gives no SQLSTATE for a connection that was never made: its text only chooses the advice.
    if "authentication" in said or "password" in said:
        return "Set PGUSER and PGPASSWORD to a role that may log in there."
    if "does not exist" in said:
        return "Set PGDATABASE and PGUSER to ones that exist, or create them."
    if address.is_local:
        return "Start the local server with `python -m loaders db up`, or set PGHOST and PGPORT."
    return "Check PGHOST and PGPORT, and that the server accepts connections from here."
