"""Who works on the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, UsageError

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.actor import Actor


def add(commands: Commands) -> None:
    """`people add|remove|list`."""
    nouns = commands.group("people", "who may act, with which roles")
    parser = nouns.add(
        "add",
        add_person,
        "add a person, or change their roles",
        "A role is a name that cd4ml.toml uses (`roles` of an environment, `readers` of a\n"
        "dataset) or will use, or `admin`, which may add people. The roles given replace the\n"
        "earlier ones.",
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument(
        "--role",
        dest="roles",
        metavar="ROLE",
        action="append",
        default=None,
        help="may be repeated",
    )
    parser.add_argument("--no-role", action="store_true", help="take all roles away")
    parser = nouns.add(
        "remove",
        remove_person,
        "let a person act no more: their tokens and standing approvals end",
        "What they did stays theirs, and nobody else gets their name. `people add` lets them act\n"
        "again, with the roles that are given then; tokens and standing approvals stay ended.",
    )
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--reason", required=True, help="why, for the ledger and the next reader")
    nouns.add("list", list_people, "list everybody who may act")


def add_person(given: Given) -> Answer[Actor]:
    """Add a person."""
    from cd4ml.loop.people import add_person as put
    from cd4ml.loop.people import unused_roles

    words = given.words
    if words.no_role and words.roles:
        raise UsageError("cd4ml people add: --role or --no-role?", hint="not both")
    said = () if words.no_role else words.roles and tuple(words.roles)
    person = put(given.project, words.name, roles=said, actor=given.actor)
    unused = unused_roles(given.project, person)
    return Answer(person, lambda screen, person: _show_added(screen, person, unused))


def remove_person(given: Given) -> Answer[Actor]:
    """Remove a person."""
    from cd4ml.loop.people import remove_person as take_out

    words = given.words
    person = take_out(given.project, words.name, reason=words.reason, actor=given.actor)
    return Answer(person, lambda screen, person: _show_people(screen, [person]))


def list_people(given: Given) -> Answer[list[Actor]]:
    """Everybody."""
    from cd4ml.loop.people import people

    return Answer(people(given.project), _show_people)


def _show_added(screen: Screen, person: Actor, unused: tuple[str, ...]) -> None:
    _show_people(screen, [person])
    for role in unused:
        screen.hint(f"nothing in cd4ml.toml asks for the role {role} yet")


def _show_people(screen: Screen, people: list[Actor]) -> None:
    from cd4ml.cli.screen import moment

    screen.table(
        ("name", "roles", "since", "added by"),
        (
            (
                person.name,
                "removed" if person.removed_at else ", ".join(person.roles) or "none",
                moment(person.added_at),
                person.added_by,
            )
            for person in people
        ),
    )
