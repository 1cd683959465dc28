"""How commands end: an expected error, a lost server, Ctrl-C and SIGTERM are one line on standard error."""

import logging
import signal
import sys
from collections.abc import Callable
from functools import wraps
from typing import NoReturn, ParamSpec, TypeVar

import click
import psycopg

from loaders.errors import ExpectedError

P = ParamSpec("P")
T = TypeVar("T")
# psycopg's warnings of a lost connection would stand beside the one line that tells it.
logging.getLogger("psycopg").addHandler(logging.NullHandler())
INTERRUPTED = "interrupted: nothing half loaded is visible; the next load goes on from here"


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived: clean up as for Ctrl-C."""


def one_line_errors(command: Callable[P, T], interrupted: str = INTERRUPTED) -> Callable[P, T]:
    """Turn expected errors into one line and their exit code, a lost server into 1, Ctrl-C into 130, SIGTERM into 143.

    `interrupted` is what the last two say.
    """

    @wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> T:
        before = signal.signal(signal.SIGTERM, _terminate)
        try:
            return command(*args, **kwargs)
        except ExpectedError as error:
            fail(str(error), error.exit_code)
        except psycopg.Error as error:
            said = " ".join(str(error).split())
            fail(f"The server said: {said}. See to it, then run the command again; nothing half done is visible.")
        except KeyboardInterrupt as error:
            click.echo(interrupted, err=True)
            sys.exit(143 if isinstance(error, Terminated) else 130)
        finally:
            signal.signal(signal.SIGTERM, before or signal.SIG_DFL)

    return wrapped


def fail(message: str, exit_code: int = 1) -> NoReturn:
    """Print the message as an error, and exit."""
    click.echo(f"error: {message}", err=True)
    sys.exit(exit_code)


def _terminate(_number: int, _frame: object) -> NoReturn:
    raise Terminated
