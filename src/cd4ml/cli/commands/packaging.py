"""Models that leave the project: wheels, and what containers are built from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.commands.model_names import ANY_REF
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.package import TakenAway

_DEFAULT = "dist"


def add_to(commands: Commands) -> None:
    """`package`."""
    parser = commands.add(
        "package",
        package,
        "take a version away: as a wheel, or as what a container is built from",
        "The wheel has the model, its contract and a typed `predict`, and needs neither cd4ml nor\n"
        "a network. The build context serves it on port 8080 as Amazon SageMaker asks for it.",
    )
    parser.add_argument("ref", metavar="MODEL", help=ANY_REF)
    forms = parser.add_mutually_exclusive_group(required=True)
    forms.add_argument("--wheel", action="store_true", help="a wheel, for pip install")
    forms.add_argument("--oci", action="store_true", help="a folder, for docker build")
    parser.add_argument(
        "--to", metavar="FOLDER", default=_DEFAULT, help=f"(default: {_DEFAULT}, here)"
    )
    parser.add_argument(
        "--name", metavar="NAME", default="", help="what it is installed as (default: MODEL-model)"
    )


def package(given: Given) -> Answer[TakenAway]:
    """A version as files."""
    from pathlib import Path

    from cd4ml.loop.package import write_context, write_wheel

    words = given.words
    write = write_wheel if words.wheel else write_context
    taken = write(given.project, words.ref, to=Path(words.to), name=words.name, actor=given.actor)
    return Answer(taken, _show_wheel if words.wheel else _show_context)


def _show_wheel(screen: Screen, taken: TakenAway) -> None:
    screen.title(f"{taken.ref} as {taken.distribution}")
    screen.facts(
        (
            ("wheel", taken.files[0]),
            ("needs", ", ".join(taken.requires)),
            ("address", taken.address),
        )
    )
    screen.hint(f"pip install {taken.files[0]}; then: from {taken.module} import predict")


def _show_context(screen: Screen, taken: TakenAway) -> None:
    folder = taken.files[0].rpartition("/")[0]
    screen.title(f"{taken.ref} as {taken.distribution}")
    screen.facts((("build context", folder), ("wheel", taken.address)))
    if taken.without_hash:
        screen.line(f"no lock file has a hash of {', '.join(taken.without_hash)}")
    screen.hint(f"docker build {folder}")
