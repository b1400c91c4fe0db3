"""The options of commands that work in this process or on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cd4ml.cli.words import Parser

RAY = "ray"


def takes_cluster(parser: Parser) -> None:
    """Add `--on ray` and `--ray ADDRESS`."""
    parser.add_argument(
        "--on",
        metavar=RAY,
        choices=(RAY,),
        default="",
        help="on a Ray cluster instead of in this process; needs cd4ml[ray]",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS",
        default="",
        help="on this Ray cluster; auto finds one, local starts one here (default: as [run] says)",
    )


def is_on_ray(words: Any) -> bool:
    """Whether a command with these options is to work on a cluster."""
    return bool(words.on or words.ray)
