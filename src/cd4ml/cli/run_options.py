"""The options that say what a run is made on: parameters, data, a moment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli import assignments
from cd4ml.cli.words import day_or_time

if TYPE_CHECKING:
    from cd4ml.cli.words import Parser


def takes_settings(parser: Parser, *, of: str = "") -> None:
    """Add `--set STEP.PARAMETER=VALUE`."""
    parser.add_argument(
        "--set",
        dest="settings",
        metavar="STEP.PARAMETER=VALUE",
        type=assignments.setting,
        action="append",
        default=[],
        help=f"another value than the code's{of}; may be repeated",
    )


def takes_data(parser: Parser, *, metavar: str, help: str) -> None:
    """Add `--data NAME=...`."""
    parser.add_argument(
        "--data",
        dest="datasets",
        metavar=metavar,
        type=assignments.pair,
        action="append",
        default=[],
        help=help,
    )


def takes_moment(parser: Parser) -> None:
    """Add `--as-of MOMENT`."""
    parser.add_argument(
        "--as-of",
        dest="as_of",
        metavar="MOMENT",
        type=day_or_time,
        help="on what was known then: the versions published, the rows arrived by 2013-03-01",
    )
