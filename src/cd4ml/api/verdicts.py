"""What the API answers about gates and what they said."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


def _judge(project: Project, asked: bodies.Judge, actor: str) -> object:
    from cd4ml.loop.evaluate import evaluate

    return evaluate(project, asked.run, actor=actor)


def _verdicts(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.evaluate import verdicts

    return verdicts(project)


def _verdict(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.evaluate import verdict_of

    return verdict_of(project, asked.number)


def _weakest(project: Project, asked: bodies.SlicesAsked) -> object:
    from cd4ml.loop.weakest import weakest

    return weakest(
        project, asked.number, metric=asked.metric, most=asked.most, min_rows=asked.min_rows
    )


VERDICTS: tuple[Endpoint, ...] = (
    Reading("/verdicts", bodies.Nothing, _verdicts, "What the gates said of every candidate."),
    Reading("/verdicts/{number}", bodies.Number, _verdict, "One verdict with all its findings."),
    Reading(
        "/verdicts/{number}/slices",
        bodies.SlicesAsked,
        _weakest,
        "The slices of the holdout on which its candidate is weakest.",
    ),
    Acting("/gate", bodies.Judge, _judge, "Judge a run or a version by every gate."),
)
