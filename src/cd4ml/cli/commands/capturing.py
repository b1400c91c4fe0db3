"""What the prediction log keeps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.keep import LogTable
    from cd4ml.store.forgetting import Forgotten


def add_to(commands: Commands) -> None:
    """`log show|forget`."""
    nouns = commands.group(
        "log",
        "the prediction log: where it lies, and whom it forgets",
        "`[capture]` is its policy.",
    )
    nouns.add("show", show, "say where its Delta tables lie, and what is in them")
    parser = nouns.add(
        "forget",
        forget,
        "delete one person's rows, labels included",
        "From the tables, from files no table lists any more, and from the segments of this\n"
        "machine. The ledger says how many rows, who and why, not whose.",
    )
    parser.add_argument("value", metavar="VALUE", help="of the field that says whose row it is")
    parser.add_argument(
        "--field", default="", metavar="FIELD", help="that field, if not `[capture] person`"
    )
    parser.add_argument("--reason", required=True, help="why, for the ledger; without the name")


def show(given: Given) -> Answer[list[LogTable]]:
    """The tables."""
    from cd4ml.loop.keep import tables

    return Answer(tables(given.project), _show_tables)


def forget(given: Given) -> Answer[Forgotten]:
    """Delete."""
    from cd4ml.loop.keep import forget as forget_person

    words = given.words
    forgotten = forget_person(
        given.project, words.value, reason=words.reason, actor=given.actor, field=words.field
    )
    return Answer(forgotten, _show_forgotten)


def _show_tables(screen: Screen, found: list[LogTable]) -> None:
    screen.table(
        ("table", "version", "files", "rows", "from", "to", "at"),
        (
            (
                each.name,
                "" if each.version is None else str(each.version),
                f"{each.files:,}",
                f"{each.rows:,}",
                each.first_day,
                each.last_day,
                each.url,
            )
            for each in found
        ),
    )


def _show_forgotten(screen: Screen, forgotten: Forgotten) -> None:
    from cd4ml.cli.screen import counted

    words = (
        f"{counted(forgotten.predictions, 'prediction')} and "
        f"{counted(forgotten.labels, 'label')} deleted, "
        f"{counted(forgotten.files, 'file')} written anew or removed"
    )
    screen.line(words)
    if forgotten.set_aside:
        screen.line(f"{counted(forgotten.set_aside, 'line')} that had been set aside deleted")
