"""The whole loop on real data, told as a story."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.rehearse import RehearsalReport

LAST_MONTH = 11  # of a year that begins with a month of training


def add(commands: Commands) -> None:
    """`demo`."""
    parser = commands.add(
        "demo",
        demo,
        "rehearse the whole loop on real data, in simulated time",
        "Lays out a project, trains, judges, releases, serves over HTTP, monitors, labels and\n"
        "retrains, month by month. A rehearsal that was stopped goes on where it stood. It is\n"
        "done, and leaves with 0, only if every step happened as it must.",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("flights"),
        metavar="FOLDER",
        help="of the project (default: flights)",
    )
    parser.add_argument(
        "--example", default="flights", metavar="NAME", help="to play (default: flights)"
    )
    parser.add_argument(
        "--months", type=_months, default=4, metavar="N", help="of production (default: 4)"
    )
    parser.add_argument(
        "--port", type=int, default=8400, help="of the console; the next two are endpoints"
    )
    parser.add_argument(
        "--once", action="store_true", help="end after the summary; close the console"
    )


def demo(given: Given) -> Answer[RehearsalReport]:
    """Play the loop."""
    from cd4ml.cli.story import story
    from cd4ml.loop.rehearse import rehearse

    words = given.words
    report = rehearse(
        folder=words.folder,
        example=words.example,
        months=words.months,
        is_once=words.once,
        port=words.port,
        tell=story(is_json=given.is_json),
        visitor=given.actor,
    )
    return Answer(report, _show_report)


def _months(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= LAST_MONTH):
        msg = f"expected 1 to {LAST_MONTH} months, got {text}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _show_report(screen: Screen, report: RehearsalReport) -> None:
    screen.line()
    screen.line(f"done in {report.seconds:.0f} s; the project is in {report.folder}", style="green")
