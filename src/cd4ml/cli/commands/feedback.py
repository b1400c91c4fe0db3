"""What production says: windows and alerts, labels, retraining."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.label import LabelReceipt
    from cd4ml.records.alert import Alert
    from cd4ml.records.job import Job
    from cd4ml.records.window import Window


class Production(TypedDict):
    """What `monitor` prints: what one look brought, and what is known now."""

    collected: int
    measured: int
    windows: list[Window]
    alerts: list[Alert]


def add(commands: Commands) -> None:
    """`monitor`, `label` and `retrain`."""
    parser = commands.add(
        "monitor",
        monitor,
        "measure the windows that are due, and list windows and alerts",
        "Collects what endpoints answered, measures drift and realised performance, and raises\n"
        "alerts; each window counts once, however often this is asked.",
    )
    parser.add_argument("--in", dest="environment", metavar="ENVIRONMENT", default="")
    parser = commands.add(
        "label",
        label,
        "say what really happened after predictions",
        "FILE is .csv, .parquet or .ndjson with the columns prediction_id and value, and if known\n"
        "labelled_at (else now) and labelled_by (else you). The same labels sent again count\n"
        "once; one with a later labelled_at corrects the earlier one.",
    )
    parser.add_argument("file", metavar="FILE", type=Path)
    parser = commands.add(
        "retrain",
        retrain,
        "ask for a retraining on what is labelled by now",
        "It is carried out by the background work: `cd4ml up`, or `cd4ml work`.",
    )
    parser.add_argument("--reason", required=True, help="why, for the ledger")


def monitor(given: Given) -> Answer[Production]:
    """Measure what is due, and say how production is."""
    from cd4ml.loop.watch import alerts, watch, windows

    report = watch(given.project, actor=given.actor)
    production: Production = {
        "collected": report.collected,
        "measured": len(report.windows),
        "windows": windows(given.project, environment=given.words.environment),
        "alerts": alerts(given.project),
    }
    return Answer(production, _show_production)


def label(given: Given) -> Answer[LabelReceipt]:
    """Take in labels."""
    from cd4ml.loop.label import label as take_in

    receipt = take_in(given.project, path=given.words.file, actor=given.actor)
    return Answer(receipt, _show_receipt)


def retrain(given: Given) -> Answer[Job]:
    """Ask for a retraining."""
    from cd4ml.loop.retrain import ask

    job = ask(given.project, reason=given.words.reason, actor=given.actor)
    return Answer(job, _show_job)


def _show_production(screen: Screen, production: Production) -> None:
    from cd4ml.cli.screen import counted, moment

    collected = counted(production["collected"], "answer")
    screen.line(f"{collected} collected, {counted(production['measured'], 'window')} measured")
    if production["windows"]:
        screen.table(
            ("from", "in", "version", "answers", "labelled", "outcome"),
            (_window(window) for window in production["windows"]),
        )
    for alert in production["alerts"]:
        screen.line(f"{alert.ref} {moment(alert.raised_at)} {alert.kind}: {alert.message}")


def _window(window: Window) -> tuple[str, ...]:
    return (
        f"{window.start:%Y-%m-%d}",
        window.environment,
        f"{window.model}/{window.champion}",
        f"{window.n_predictions:,}",
        f"{window.coverage:.1%}",
        window.outcome,
    )


def _show_receipt(screen: Screen, receipt: LabelReceipt) -> None:
    before = "" if receipt.is_new else ", which had been taken in before"
    from cd4ml.cli.screen import counted

    screen.line(f"{counted(receipt.n_labels, 'label')}{before}")
    if receipt.n_unknown:
        are = (
            "is about a prediction that is"
            if receipt.n_unknown == 1
            else "are about predictions that are"
        )
        screen.line(f"{receipt.n_unknown:,} {are} not in the log yet")


def _show_job(screen: Screen, job: Job) -> None:
    screen.title(f"job/{job.number} {job.kind}: {job.state}")
    screen.hint("cd4ml up carries it out, or cd4ml work")
