"""One run in detail: what its steps took, and what they printed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.run_logs import StepLog
    from cd4ml.loop.train import RunReport
    from cd4ml.records.run import StepRun


def add(commands: Commands) -> None:
    """`show` and `logs`."""
    parser = commands.add(
        "show",
        show,
        "show a run: its steps, what they took, where they ran, what it cost",
        "Time, CPU time and the peak of memory of each step, the machine, and the cost by [prices].",
    )
    parser.add_argument("run", metavar="RUN", help="run/3 or 3")
    parser = commands.add(
        "logs",
        logs,
        "print what the steps of a run have printed, also while it runs",
    )
    parser.add_argument("run", metavar="RUN", help="run/3 or 3")
    parser.add_argument("step", metavar="STEP", nargs="?", default="", help="only this one")


def show(given: Given) -> Answer[RunReport]:
    """A run with its steps and metrics."""
    from cd4ml.loop.compare import run_report

    return Answer(run_report(given.project, given.words.run), _show)


def logs(given: Given) -> Answer[list[StepLog]]:
    """What a run's steps have printed."""
    from cd4ml.loop.run_logs import run_logs

    words = given.words
    found = run_logs(given.project, words.run, words.step, actor=given.asker)
    return Answer(found, _show_one_log if words.step else _show_logs)


def _show(screen: Screen, report: RunReport) -> None:
    from cd4ml.cli.screen import moment, number, size

    run = report.run
    screen.title(f"{run.ref} {run.state}")
    hardware = run.hardware
    machine = [hardware.cpu, f"{hardware.cpus} CPUs", f"{size(hardware.memory)} of memory"]
    screen.facts(
        [
            ("reason", run.reason),
            ("experiment", run.experiment),
            ("began", f"{moment(run.started_at)} by {run.created_by}"),
            ("machine", ", ".join([*filter(None, machine), *hardware.gpus])),
            ("cost", "" if run.cost is None else f"{run.cost:.4g}"),
        ]
    )
    screen.table(
        ("step", "", "seconds", "CPU", "memory", "tries", "worker"),
        (_cells(step) for step in report.steps),
    )
    screen.facts((name, number(value)) for name, value in report.metrics.items())
    for step in report.steps:
        if step.state == "failed":
            screen.line()
            screen.verbatim(step.reason)
    if any(step.log for step in report.steps):
        screen.hint(f"cd4ml logs {run.ref}")


def _cells(step: StepRun) -> tuple[str, ...]:
    from cd4ml.cli.screen import size

    if step.state == "cached":
        return (step.step, step.state, "-", "-", "-", "-", "")
    return (
        step.step,
        step.state,
        f"{step.seconds:.2f}",
        f"{step.cpu_seconds:.2f}",
        size(step.peak_memory) if step.peak_memory else "-",
        str(step.attempts),
        step.worker,
    )


def _show_logs(screen: Screen, found: list[StepLog]) -> None:
    if not found:
        screen.line("its steps have printed nothing")
    for log in found:
        for line in log.text.splitlines():
            screen.verbatim(f"{log.step} | {line}")


def _show_one_log(screen: Screen, found: list[StepLog]) -> None:
    for log in found:
        screen.verbatim(log.text)
