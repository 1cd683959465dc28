"""The errors that loaders/ raises; every message ends in its remedy.

LoaderError
├── SettingError          a PG* variable or an option that cannot be used
├── ServerError           the local server cannot be started or reached
├── SourceError           a source declaration that cannot be used, or a name that is not declared
├── FileError             a bronze file that cannot be landed; the others are
│   └── TooManyRejects    more of its records were refused than --max-rejects allows
├── RecordError           a record from Python whose fields are not the table's
└── LoadError             a load that failed; nothing of it is visible
"""


class LoaderError(Exception):
    """An expected failure: the command prints its message and exits with 1."""


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


class RecordError(LoaderError):
    """A record from Python has other fields than the table, or than the records before it."""


class LoadError(LoaderError):
    """A load failed, and nothing of it is visible."""
