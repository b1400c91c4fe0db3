"""The options of commands that work on this machine or on a Ray cluster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cd4ml.cli.words import Parser
    from cd4ml.loop.executors import Where

RAY = "ray"


def takes_cluster(parser: Parser) -> None:
    """Add `--on ray` and `--ray ADDRESS`."""
    parser.add_argument(
        "--on",
        metavar=RAY,
        choices=(RAY,),
        default="",
        help="on a Ray cluster instead of this machine alone; needs cd4ml[ray]",
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


def where_of(words: Any, *, otherwise: str = "", workers: int = 0) -> Where:
    """Where a command with these options computes: on a cluster, or as `otherwise` says.

    Args:
        words: What was typed.
        otherwise: An executor for who names no cluster ("": as `[run]` of cd4ml.toml says).
        workers: How much at a time (0: as `[run]` says).
    """
    from cd4ml.loop.executors import Where

    kind = RAY if is_on_ray(words) else otherwise
    return Where(executor=kind, workers=workers, ray=words.ray)
