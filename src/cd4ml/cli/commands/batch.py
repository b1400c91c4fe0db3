"""Files scored by a registered model."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.cluster import takes_cluster, where_of
from cd4ml.cli.commands.model_names import ANY_REF
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.predict import Scored

_PIECE_ROWS = 250_000


def add_to(commands: Commands) -> None:
    """`predict`."""
    parser = commands.add(
        "predict",
        predict,
        "score Parquet files of any size, each row exactly once",
        "Rows are read, checked against the contract, scored and written piece by piece. Typed\n"
        "again after whatever ended it, the same command goes on where it was.",
    )
    parser.add_argument("--model", dest="ref", metavar="MODEL", required=True, help=ANY_REF)
    parser.add_argument(
        "--input", metavar="FILES", required=True, help="a file, folder or glob, or s3://..."
    )
    parser.add_argument(
        "--output", metavar="FOLDER", required=True, help="an empty folder, or s3://bucket/prefix"
    )
    parser.add_argument(
        "--on-violation",
        dest="policy",
        choices=("refuse", "aside"),
        default="refuse",
        help="of the contract: end there, or set such rows aside with the reasons"
        " (default: refuse)",
    )
    parser.add_argument(
        "--keep", metavar="COLUMN", action="append", default=[], help="of the input (default: all)"
    )
    parser.add_argument("--column", default="score", help="of the answers (default: score)")
    parser.add_argument(
        "--rows",
        metavar="N",
        type=at_most_a_million,
        default=_PIECE_ROWS,
        help=f"how many at a time (default: {_PIECE_ROWS:,})",
    )
    parser.add_argument(
        "--dataset",
        metavar="NAME",
        default="",
        help="whose version the output becomes (default: the folder's name, in the project)",
    )
    parser.add_argument(
        "--workers", metavar="N", type=at_most_a_million, default=0, help="processes at a time"
    )
    takes_cluster(parser)


def predict(given: Given) -> Answer[Scored]:
    """Files become files with answers."""
    from cd4ml.cli.screen import files
    from cd4ml.loop.predict import predict as score

    words = given.words
    otherwise = "processes" if words.workers else "in-process"
    with files(is_quiet=given.is_json) as tell:
        scored = score(
            given.project,
            words.ref,
            input=words.input,
            output=words.output,
            policy=words.policy,
            columns=tuple(words.keep),
            column=words.column,
            piece_rows=words.rows,
            dataset=words.dataset,
            where=where_of(words, otherwise=otherwise, workers=words.workers),
            tell=tell,
            actor=given.actor,
        )
    return Answer(scored, _show)


def _show(screen: Screen, scored: Scored) -> None:
    from cd4ml.cli.screen import counted

    screen.title(f"{counted(scored.n_scored, 'row')} scored by {scored.ref}")
    facts = [
        ("from", counted(scored.n_files, "file")),
        ("to", scored.output),
        ("pieces", f"{scored.n_pieces:,}, {scored.n_before:,} of them done before"),
    ]
    if scored.n_aside:
        facts.append(("set aside", f"{counted(scored.n_aside, 'row')}, in {scored.output}/aside"))
    facts += [
        ("forgiven", f"{name}: {', '.join(f'{n:,} {kind}' for kind, n in kinds.items())}")
        for name, kinds in scored.forgiven.items()
    ]
    if scored.dataset:
        facts.append(("dataset", scored.dataset))
    screen.facts(facts)
