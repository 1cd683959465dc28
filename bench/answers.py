"""Check, before anything is timed, that all layers give the same answer to the same question."""

import asyncio
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from bench.benchmarks import Benchmark
from bench.drivers import Session
from bench.errors import AnswersDiffer, ProjectError
from bench.workers import Run, ask, open_sessions


async def check_answers(benchmarks: Sequence[Benchmark], run: Run) -> int:
    """Compare the layers of each question for every argument; return how many answers were compared.

    `benchmarks` come sorted by question. AnswersDiffer names the query, the argument and both answers.
    """
    compared = 0
    for _, layers in groupby(benchmarks, key=lambda one: one.question):
        first, *others = layers
        if not others:
            continue
        expected = await _answers(first, run)
        for other in others:
            if other.parameters != first.parameters:
                raise ProjectError(f"{other.name} and {first.name} differ in their parameters: declare the same ones.")
            for arguments, answer in (await _answers(other, run)).items():
                if answer != expected[arguments]:
                    given = ", ".join(
                        f"{p.name} = {value}" for p, value in zip(first.parameters, arguments, strict=True)
                    )
                    raise AnswersDiffer(
                        f"With {given}, {first.name} answers {expected[arguments]} and {other.name} answers {answer}. "
                        "Run `dbt build`, so that every layer has seen the same loads; "
                        "if they still differ, make the analyses ask the same thing."
                    )
            compared += len(expected)
    return compared


async def _answers(benchmark: Benchmark, run: Run) -> dict[tuple[int, ...], Any]:
    """Return the answer for every set of arguments in range, asked in parallel over the run's connections."""
    every = list(benchmark.every_argument())
    answers: dict[tuple[int, ...], Any] = {}

    async def ask_some(session: Session, some: Sequence[tuple[int, ...]]) -> None:
        for arguments in some:
            answers[arguments] = await ask(session, benchmark, arguments)

    async with open_sessions(benchmark, run, run.connections) as sessions:
        await asyncio.gather(*(ask_some(one, every[at :: len(sessions)]) for at, one in enumerate(sessions)))
    return answers
