"""The errors that loaders/ raises; every message ends in its remedy.

LoaderError
├── SettingError          a PG* variable or an option that cannot be used
├── ServerError           the local server cannot be started or reached
├── SourceError           a source declaration that cannot be used, or a name that is not declared
├── FileError             a bronze file that cannot be landed; the others are
│   └── TooManyRejects    more of its records were refused than --max-rejects allows
├── ExtractError          an API that does not give what its source declares
├── RecordError           a record from Python whose fields are not the table's
└── LoadError             a load that failed; nothing of it is visible
"""


class ExpectedError(Exception):
    """An expected failure of loaders/ or bench/: the command prints its message and exits with `exit_code`."""

    exit_code = 1


class LoaderError(ExpectedError):
    """An expected failure of the loader."""


class SettingError(LoaderError):
    """A PG* variable or an option has a value that cannot be used."""


class ServerError(LoaderError):
    """The local server cannot be started, stopped or reached."""


class SourceError(LoaderError):
    """A source is not declared, or its declaration cannot be used."""


class FileError(LoaderError):
    """A bronze file cannot be landed; the other files can, and nothing of this one is visible."""


class TooManyRejects(FileError):  # noqa: N818 - named for what happened, as ValueError's kin in psycopg are
    """More records of a file were refused than --max-rejects allows."""


class ExtractError(LoaderError):
    """An API refused, or gave what cannot be the whole truth; nothing of the run lands."""


class RecordError(LoaderError):
    """A record from Python has other fields than the table, or than the records before it."""


class LoadError(LoaderError):
    """A load failed, and nothing of it is visible."""
