"""What index trials look like: a table a query, a line in words, and JSON."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from rich.table import Table

from bench.queries.report import circumstances
from bench.tune.trials import Question, Trial, Tuning
from loaders.connection import Address

BYTES_PER_MB = 1e6


def trials_table(question: Question, trials: Sequence[Trial]) -> Table:
    """Return one query's table: a row a candidate."""
    unit = "cost" if trials[0].is_hypothetical else "ms"
    runs = (
        "plans only: hypothetical indexes" if trials[0].is_hypothetical else f"medians of {len(trials[0].before)} runs"
    )
    table = Table(title=f"{question.name}, {runs}", title_justify="left")
    table.add_column("candidate", overflow="fold")
    for heading in (
        f"{unit} before",
        "after",
        "ratio",
        "noise",
        "pages before",
        "after",
        "index MB",
        "build s",
        "used",
    ):
        table.add_column(heading, justify="right")
    table.add_column("the plan's change", overflow="fold")
    for trial in trials:
        table.add_row(
            trial.candidate.name,
            f"{trial.before_value:,.2f}",
            f"{trial.after_value:,.2f}",
            "-" if trial.ratio is None else f"{trial.ratio:.2f}",
            "-" if trial.is_hypothetical else f"{trial.noise:.0%}",
            *("-" if pages is None else f"{pages:,}" for pages in (trial.before[-1].pages, trial.after[-1].pages)),
            f"{trial.index.size_bytes / BYTES_PER_MB:,.2f}",
            "-" if trial.index.build_seconds is None else f"{trial.index.build_seconds:.2f}",
            "yes" if trial.is_used else "no",
            trial.change,
            style="bold" if trial.changes_time else None,
        )
    return table


def by_question(tuning: Tuning) -> list[tuple[Question, list[Trial]]]:
    """Return the trials of each query that had any."""
    return [(question, list(some)) for question, some in groupby(tuning.trials, key=lambda trial: trial.question)]


def closing_lines(tuning: Tuning) -> list[str]:
    """Say for each query which candidates change something beyond noise, and which do not, and why."""
    lines = []
    tried = dict(by_question(tuning))
    for question in dict.fromkeys([*tried, *(question for question, _ in tuning.apart)]):
        trials = tried.get(question, [])
        apart = [candidate for one, candidate in tuning.apart if one == question]
        changing = [trial for trial in trials if trial.changes_time]
        verb = "changes" if len(changing) == 1 else "change"
        said = [f"{len(changing)} of {len(trials) + len(apart)} candidates {verb} something{_beyond(trials)}"]
        said += [f"{trial.candidate.name} takes {_times(trial)}" for trial in changing]
        idle = [trial for trial in trials if trial not in changing]
        said += _listed("used, but within noise", (trial.candidate.name for trial in idle if trial.is_used))
        said += _listed("not used", (trial.candidate.name for trial in idle if not trial.is_used))
        if apart:
            said.append(f"{len(apart)} on tables that it does not read")
        lines.append(f"{question.name}: {'; '.join(said)}.")
    if tuning.trials:
        hypothetical = tuning.trials[0].is_hypothetical
        lines.append("No index was built." if hypothetical else "Every index was rolled back; none is left.")
    return lines


def tuning_figures(tuning: Tuning, address: Address, seed: int) -> dict[str, Any]:
    """Return the trials as JSON's types, the circumstances beside them."""
    return {
        **circumstances(address),
        "seed": seed,
        "trials": [
            {
                "query": trial.question.benchmark.name,
                "arguments": list(trial.question.arguments),
                "candidate": trial.candidate.name,
                "hypothetical": trial.is_hypothetical,
                "ms_before": [plan.ms for plan in trial.before],
                "ms_after": [plan.ms for plan in trial.after],
                "cost_before": trial.before[-1].cost,
                "cost_after": trial.after[-1].cost,
                "ratio": trial.ratio,
                "noise": trial.noise,
                "pages_before": trial.before[-1].pages,
                "pages_after": trial.after[-1].pages,
                "index_bytes": trial.index.size_bytes,
                "build_seconds": trial.index.build_seconds,
                "used": trial.is_used,
                "beyond_noise": trial.changes_time,
                "change": trial.change,
            }
            for trial in tuning.trials
        ],
        "not_read": [
            {"query": question.benchmark.name, "candidate": candidate.name} for question, candidate in tuning.apart
        ],
    }


def _beyond(trials: Sequence[Trial]) -> str:
    """Plans that were only imagined have no noise."""
    return ", by the planner's estimate" if trials and trials[0].is_hypothetical else " beyond noise"


def _times(trial: Trial) -> str:
    ratio, unit = trial.ratio or 0.0, "cost" if trial.is_hypothetical else "time"
    return f"{ratio:.2g} of the {unit}" if ratio < 1 else f"{ratio:.2g} times the {unit}"


def _listed(what: str, names: Iterable[str]) -> list[str]:
    listed = ", ".join(names)
    return [f"{what}: {listed}"] if listed else []
