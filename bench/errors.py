"""The errors that bench/ raises, all BenchErrors; every message ends in its remedy."""

from loaders.errors import ExpectedError


class BenchError(ExpectedError):
    """An expected failure of a measurement."""


class ProjectError(BenchError):
    """The dbt project cannot be compiled, or an analysis declares its benchmark wrongly."""


class UnknownQuery(BenchError):  # noqa: N818 - named for what happened
    """No benchmark has this name."""


class QueryFailed(BenchError):  # noqa: N818 - named for what happened
    """A benchmark's SQL cannot be prepared or answered."""


class AnswersDiffer(BenchError):  # noqa: N818 - named for what happened
    """Two layers, or two variants, answer the same question differently."""


class CandidateError(BenchError):
    """An index cannot be read, names no table, or PostgreSQL refuses to build it."""


class ToolError(BenchError):
    """A program that is needed is missing or failed."""


class RunFailed(BenchError):  # noqa: N818 - named for what happened
    """A run of one variant failed; the other variants are measured."""


class SlowerThanAllowed(BenchError):  # noqa: N818 - named for what happened
    """A result is slower than another by more than was allowed."""


class ResultUnreadable(BenchError):  # noqa: N818 - named for what happened
    """A file among the results holds no figures of a measurement."""


class StepFailed(BenchError):  # noqa: N818 - named for what happened
    """A step of the demo failed; the exit code is the step's."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
