"""The options of `cd4ml search start`: what to try, how, and when to end."""

from __future__ import annotations

import argparse

from cd4ml.cli import assignments
from cd4ml.cli.cluster import takes_cluster
from cd4ml.cli.run_options import takes_data, takes_moment, takes_settings
from cd4ml.cli.words import Parser, at_most_a_million

OWN_FLAGS = (
    "sampler",
    "trials",
    "seed",
    "metric",
    "direction",
    "workers",
    "patience",
    "minutes",
    "work_minutes",
    "cost",
    "cpus",
    "gpus",
    "memory",
    "prune",
    "portions",
    "portion_of",
    "portion_by",
    "experiment",
)


def takes_plan(parser: Parser) -> None:
    """Everything that `[search.NAME]` may say, and where its trials run."""
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="of [search.NAME]")
    _add_space(parser)
    takes_moment(parser)
    parser.add_argument("--experiment", metavar="NAME", help="the question its runs belong to")
    _add_sampling(parser)
    _add_ends(parser)
    _add_portions(parser)
    _add_place(parser)


def _add_space(parser: Parser) -> None:
    parser.add_argument(
        "--try",
        dest="space",
        metavar="STEP.PARAMETER=VALUES",
        type=assignments.pair,
        action="append",
        default=[],
        help="1,2,3 or a range: 50..500, 0.01..1:log, 0..1:0.1; may be repeated",
    )
    takes_settings(parser, of=", in all trials")
    takes_data(
        parser,
        metavar="NAME=NAME@NUMBER",
        help="another version than the newest; may be repeated",
    )


def _add_sampling(parser: Parser) -> None:
    parser.add_argument("--sampler", choices=("grid", "random", "tpe"), help="(default: see above)")
    parser.add_argument("--trials", type=at_most_a_million, metavar="N", help="how many")
    parser.add_argument("--seed", type=int, metavar="N", help="the same one, the same trials")
    parser.add_argument("--metric", metavar="NAME", help="what trials are judged by")
    parser.add_argument(
        "--direction", choices=("higher", "lower"), help="which of its values are better"
    )
    parser.add_argument(
        "--workers", type=at_most_a_million, metavar="N", help="trials at a time (default: 2)"
    )


def _add_ends(parser: Parser) -> None:
    parser.add_argument(
        "--patience",
        type=at_most_a_million,
        metavar="N",
        help="end after N trials without a better one",
    )
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="begin no trial after so many minutes"
    )
    parser.add_argument(
        "--work-minutes",
        dest="work_minutes",
        type=float,
        metavar="N",
        help="begin no trial after so many minutes of all trials together",
    )
    parser.add_argument(
        "--cost", type=float, metavar="N", help="begin no trial once all cost so much, by [prices]"
    )
    parser.add_argument(
        "--prune",
        choices=("median", "halving"),
        help="end trials early by what their steps report()",
    )


def _add_portions(parser: Parser) -> None:
    parser.add_argument(
        "--portions",
        type=_portions,
        metavar="SHARE,...",
        help="successive halving: try on a portion of the rows, the best on more: 0.1,0.3,1",
    )
    parser.add_argument(
        "--portion-of", dest="portion_of", metavar="DATASET", help="(default: the only one)"
    )
    parser.add_argument(
        "--portion-by",
        dest="portion_by",
        metavar="COLUMN",
        help="the newest rows by this column of time (default: by a hash of the row)",
    )


def _add_place(parser: Parser) -> None:
    takes_cluster(parser)
    for name, what in (("cpus", "CPUs"), ("gpus", "GPUs")):
        parser.add_argument(
            f"--{name}",
            type=float,
            metavar="N",
            help=f"{what} for each trial (default: as its hungriest step asks for)",
        )
    parser.add_argument("--memory", metavar="4GB", help="memory for each trial")


def _portions(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        msg = f"expected shares like 0.1,0.3,1, got {text!r}"
        raise argparse.ArgumentTypeError(msg) from None
