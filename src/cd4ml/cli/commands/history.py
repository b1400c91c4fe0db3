"""Why something is as it is, and whether the record of it is whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.commands import audit
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.why import Explanation
    from cd4ml.records.ledger_entry import LedgerEntry


def add(commands: Commands) -> None:
    """`why`, `audit log` and what `audit` adds."""
    parser = commands.add(
        "why",
        why,
        "explain a prediction, version, dataset, run or release",
        "Model version, run, code revision, parameters, dataset versions, verdicts and approvals\n"
        "behind it.",
    )
    parser.add_argument(
        "ref", metavar="REF", help="a prediction id, delay/2, flights@1, run/3 or release/2"
    )
    nouns = commands.group("audit", "the ledger: who did what, when and why")
    audit.add_to(nouns)
    parser = nouns.add("log", log, "list the newest entries")
    parser.add_argument(
        "subject", metavar="REF", nargs="?", default="", help="only about this, such as release/2"
    )
    parser.add_argument(
        "--limit", type=at_most_a_million, default=50, metavar="N", help="(default: 50)"
    )


def why(given: Given) -> Answer[Explanation]:
    """Explain a thing."""
    from cd4ml.loop.why import why as explain

    return Answer(explain(given.project, given.words.ref), _show_explanation)


def log(given: Given) -> Answer[list[LedgerEntry]]:
    """The newest entries."""
    from cd4ml.loop.audit import listed_entries

    words = given.words
    entries = listed_entries(given.project, subject=words.subject, limit=words.limit)
    return Answer(entries, show_entries)


def _show_explanation(screen: Screen, explanation: Explanation) -> None:
    screen.title(explanation.subject)
    screen.facts(explanation.sentences)


def show_entries(screen: Screen, entries: list[LedgerEntry]) -> None:
    """The ledger, an entry a line."""
    screen.log((_words(each), each.reason) for each in entries)


def _words(entry: LedgerEntry) -> tuple[str, ...]:
    from cd4ml.cli.screen import moment, short

    subject = short(entry.subject) if entry.subject.startswith("blake3:") else entry.subject
    return str(entry.sequence), moment(entry.at), entry.actor, entry.action, subject
