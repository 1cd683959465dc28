"""How commands end: an expected error, a lost server, Ctrl-C and SIGTERM are one line on standard error."""

import logging
import re
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
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


UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


class Age(click.ParamType[timedelta]):
    """A length of time with its unit: 90s, 15m, 2h, 30d."""

    name = "AGE"

    def convert(self, value: str | timedelta, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the length; a usage error for what is none."""
        if isinstance(value, timedelta):
            return value
        found = re.fullmatch(r"(\d{1,6})([smhd])", value)
        if found is None:
            self.fail(f"{value!r} is no length of time. Write a number and s, m, h or d: 2h.", param, ctx)
        return timedelta(**{UNITS[found[2]]: int(found[1])})


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
