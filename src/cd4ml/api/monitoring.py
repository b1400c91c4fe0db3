"""What the API answers about production: windows, alerts, labels, retraining."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


def _windows(project: Project, asked: bodies.InEnvironment) -> object:
    from cd4ml.loop.watch import windows

    return windows(project, environment=asked.environment)


def _alerts(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.watch import alerts

    return alerts(project)


def _label(project: Project, asked: bodies.LabelsAsked, actor: str) -> object:
    from cd4ml.loop.label import label

    return label(project, rows=asked.labels, actor=actor)


def _retrain(project: Project, asked: bodies.Because, actor: str) -> object:
    from cd4ml.loop.retrain import ask

    return ask(project, reason=asked.reason, actor=actor)


MONITORING: tuple[Endpoint, ...] = (
    Reading("/windows", bodies.InEnvironment, _windows, "What monitoring measured."),
    Reading("/alerts", bodies.Nothing, _alerts, "What monitoring raised."),
    Acting("/labels", bodies.LabelsAsked, _label, "Say what really happened."),
    Acting("/retrain", bodies.Because, _retrain, "Ask for a retraining; a job carries it out."),
)
