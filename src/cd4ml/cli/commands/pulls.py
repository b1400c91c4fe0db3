"""Sources that are read: now, or by themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.due import PullSeen
    from cd4ml.records.dataset import DatasetVersion


def add_to(nouns: Commands) -> None:
    """`data pull|pulls`."""
    parser = nouns.add(
        "pull",
        pull,
        "read a dataset's source now: a query, a Delta table, an address, or its files",
        "What it holds becomes a version, checked against the contract; if it holds the same as\n"
        "before, no new one.",
    )
    parser.add_argument("name", metavar="NAME", help="of a [data.NAME] in cd4ml.toml")
    parser.add_argument("--note", default="", help="what is special about this version")
    parser = nouns.add(
        "pulls",
        pulls,
        "list what was read by itself, and what went wrong",
        "Background work (cd4ml up, cd4ml work) reads what has `every` or `watch` in cd4ml.toml.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="only of this dataset")
    parser.add_argument(
        "--limit", type=at_most_a_million, default=20, metavar="N", help="(default: 20)"
    )


def pull(given: Given) -> Answer[DatasetVersion]:
    """Read a source."""
    from cd4ml.cli.commands.data import show_version
    from cd4ml.loop.pull import pull as read

    words = given.words
    version = read(given.project, words.name, note=words.note, actor=given.actor)
    return Answer(version, show_version)


def pulls(given: Given) -> Answer[list[PullSeen]]:
    """What was read without being asked."""
    from cd4ml.loop.due import pulls as look

    words = given.words
    return Answer(look(given.project, words.name, limit=words.limit), _show_pulls)


def _show_pulls(screen: Screen, seen: list[PullSeen]) -> None:
    from cd4ml.cli.screen import moment

    screen.log(
        (
            (
                f"job/{each.job.number}",
                moment(each.job.finished_at or each.job.created_at),
                each.dataset,
                each.job.state,
            ),
            each.job.reason,
        )
        for each in seen
    )
