"""One window of production, measured: what was answered, what moved, what came true."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from cd4ml.monitoring.drift import input_drift, prediction_drift
from cd4ml.monitoring.performance import performance
from cd4ml.records.finding import Finding, worst
from cd4ml.records.window import Window

if TYPE_CHECKING:
    from cd4ml.monitoring.answers import Answers
    from cd4ml.monitoring.reference import Reference
    from cd4ml.monitoring.windows import Span
    from cd4ml.records.contract import Contract
    from cd4ml.records.settings import MonitoringSettings


def measured(
    span: Span,
    answers: Answers,
    reference: Reference,
    *,
    contract: Contract,
    settings: MonitoringSettings,
    now: datetime,
) -> Window:
    """The window, with its findings.

    The findings are about the version that gave most of the answers; `reference` and
    `contract` are that version's. The counts are about all versions.

    Raises:
        ConfigurationError: If `settings.metrics` names no measure.
        InvalidInput: If a request does not fit the contract.
    """
    from cd4ml.store.lines import inputs

    rows = answers.of_champion
    labelled = rows.filter(rows["value"].is_not_null())
    findings = (
        *input_drift(reference.inputs, inputs(rows, contract), limit=settings.drift),
        prediction_drift(reference.scores, rows["score"], limit=settings.drift),
        *performance(labelled, reference, settings.metrics),
    )
    return _window(span, answers, reference.model, settings, now, findings)


def idle(
    span: Span, answers: Answers, model: str, settings: MonitoringSettings, now: datetime
) -> Window:
    """A window in which nothing was answered: an error, for nothing could be measured."""
    return _window(span, answers, model, settings, now, ())


def _window(
    span: Span,
    answers: Answers,
    model: str,
    settings: MonitoringSettings,
    now: datetime,
    findings: tuple[Finding, ...],
) -> Window:
    return Window(
        environment=settings.environment,
        model=model,
        start=span.start,
        end=span.end,
        champion=answers.champion,
        n_predictions=answers.n_predictions,
        n_labels=answers.n_labels,
        coverage=answers.coverage,
        findings=findings,
        outcome=worst(tuple(finding.outcome for finding in findings if finding.is_gated)),
        measured_at=now,
    )
