"""Gates: judge runs and versions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.commands import replay, weakest
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.evaluate import Judgement
    from cd4ml.records.finding import Finding, Outcome
    from cd4ml.records.verdict import Verdict

EXIT_CODES: dict[Outcome, int] = {"pass": 0, "error": 1, "fail": 3, "inconclusive": 4}

_SHOWN = 12  # findings that decide nothing


def add(commands: Commands) -> None:
    """`gate`."""
    nouns = commands.group(
        "gate",
        "judge a run by every gate; a pass becomes a model version",
        "`cd4ml gate RUN` is short for `cd4ml gate judge RUN`.",
    )
    parser = nouns.add(
        "judge",
        judge,
        "judge a run or a version by every gate; a run that passes becomes a version",
        "Leaves with 0 (pass), 3 (fail), 4 (inconclusive) or 1 (could not be measured).\n"
        "The verdict is kept whatever it is; asking again gives the same one.",
    )
    parser.add_argument("run", metavar="RUN", help="run/3 or 3, or a version: MODEL/NUMBER")
    parser.add_argument("--model", default="", help="of a run: what its versions are called")
    parser.add_argument("--step", default="", help="of a run: which of its models")
    nouns.add("list", list_verdicts, "list verdicts, newest first")
    parser = nouns.add("show", show, "show a verdict with every finding")
    parser.add_argument("verdict", metavar="VERDICT", help="verdict/3 or 3")
    weakest.add_to(nouns)
    replay.add_to(nouns)


def judge(given: Given) -> Answer[Judgement]:
    """Judge a run."""
    from cd4ml.loop.evaluate import evaluate

    words = given.words
    judgement = evaluate(
        given.project, words.run, model=words.model, step=words.step, actor=given.actor
    )
    return Answer(judgement, _show_judgement, EXIT_CODES[judgement.verdict.outcome])


def list_verdicts(given: Given) -> Answer[list[Verdict]]:
    """All verdicts."""
    from cd4ml.loop.evaluate import verdicts

    return Answer(verdicts(given.project)[::-1], _show_verdicts)


def show(given: Given) -> Answer[Verdict]:
    """One verdict."""
    from cd4ml.loop.evaluate import verdict_of

    return Answer(verdict_of(given.project, given.words.verdict), _show_verdict)


def _show_judgement(screen: Screen, judgement: Judgement) -> None:
    first, *more = judgement.message.splitlines()
    screen.title(first)
    for line in more:
        screen.line(line)
    if judgement.version is not None:
        _show_findings(screen, judgement.verdict)
        screen.hint(f"cd4ml release {judgement.version.ref} --to ENVIRONMENT")


def _show_verdict(screen: Screen, verdict: Verdict) -> None:
    beside = f", beside {verdict.champion}" if verdict.champion else ""
    screen.title(
        f"{verdict.ref} on {verdict.model} of run/{verdict.run}{beside}: {verdict.outcome}"
    )
    _show_findings(screen, verdict)
    for finding in verdict.findings:
        if finding.is_gated and finding.reason:
            screen.line(f"  - {finding.gate}: {finding.reason}")


def _show_findings(screen: Screen, verdict: Verdict) -> None:
    gated = [finding for finding in verdict.findings if finding.is_gated]
    others = [finding for finding in verdict.findings if not finding.is_gated]
    screen.table(
        ("asked", "value", "low", "high", "rows", "outcome"),
        ((f.gate, *_figures(f), f.outcome) for f in gated),
    )
    if others:
        screen.line("shown, not gated", style="dim")
        screen.table(
            ("metric", "slice", "value", "low", "high", "rows"),
            ((f.metric, f.slice, *_figures(f)) for f in others[:_SHOWN]),
        )
    if len(others) > _SHOWN:
        screen.line(f"... and {len(others) - _SHOWN} more: --json lists all", style="dim")


def _figures(finding: Finding) -> tuple[str, str, str, str]:
    from cd4ml.cli.screen import number

    values = (number(value) for value in (finding.value, finding.low, finding.high))
    value, low, high = values
    return value, low, high, f"{finding.n_rows:,}"


def _show_verdicts(screen: Screen, verdicts: list[Verdict]) -> None:
    from cd4ml.cli.screen import moment

    screen.table(
        ("verdict", "run", "model", "beside", "outcome", "judged", "by"),
        (
            (
                verdict.ref,
                f"run/{verdict.run}",
                verdict.model,
                verdict.champion,
                verdict.outcome,
                moment(verdict.judged_at),
                verdict.judged_by,
            )
            for verdict in verdicts
        ),
    )
