"""Contracts of models: show one, write one to review, compare two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.model_contracts import ComparedContracts

_REF = "MODEL/NUMBER, run/5, a .toml or .yaml file, or module:Name"


def add(commands: Commands) -> None:
    """`contract`."""
    nouns = commands.group("contract", "what requests to a model keep: show, write, compare")
    parser = nouns.add("show", show, "print the contract of a version or a run as a file")
    parser.add_argument("ref", metavar="REF", help=_REF)
    parser = nouns.add(
        "write",
        write,
        "print the contract that training rows show, for you to review",
        "For example: cd4ml contract write run/5 > contracts/request.toml\n"
        'and in cd4ml.toml, [model]: contract = "contracts/request.toml"',
    )
    parser.add_argument("ref", metavar="REF", help="MODEL/NUMBER or run/5")
    parser = nouns.add(
        "diff",
        diff,
        "what changes from one contract to another, and the version it needs",
        "Exits with 3 if a change breaks consumers and the major version is not raised.",
    )
    parser.add_argument("old", metavar="OLD", help=_REF)
    parser.add_argument("new", metavar="NEW", help=_REF)


def show(given: Given) -> Answer[str]:
    """A contract."""
    from cd4ml.loop.model_contracts import shown

    return Answer(shown(given.project, given.words.ref), _show_text)


def write(given: Given) -> Answer[str]:
    """A contract from rows."""
    from cd4ml.loop.model_contracts import written

    return Answer(written(given.project, given.words.ref), _show_text)


def diff(given: Given) -> Answer[ComparedContracts]:
    """Two contracts."""
    from cd4ml.loop.model_contracts import compared

    found = compared(given.project, given.words.old, given.words.new)
    is_refused = found.needed == "major" and not found.is_raised
    return Answer(found, _show_diff, exit_code=3 if is_refused else 0)


def _show_text(screen: Screen, text: str) -> None:
    screen.verbatim(text)


def _show_diff(screen: Screen, found: ComparedContracts) -> None:
    names = f"{found.old} ({found.old_version}) to {found.new} ({found.new_version})"
    if not found.changes:
        screen.title(f"{names}: nothing changes for those who call")
        return
    if found.is_raised:
        screen.title(f"{names}: a {found.needed} change, and the version says so")
    else:
        title = f"{names}: a {found.needed} change, which would be {found.next_version}"
        screen.title(title)
    screen.table(("change", "what"), ((each.bump, each.words) for each in found.changes))
