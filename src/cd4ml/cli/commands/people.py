"""Who works on the project."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.actor import Actor


def add(commands: Commands) -> None:
    """`people add|list`."""
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
        "--role", dest="roles", metavar="ROLE", action="append", default=[], help="may be repeated"
    )
    nouns.add("list", list_people, "list everybody who may act")


def add_person(given: Given) -> Answer[Actor]:
    """Add a person."""
    from cd4ml.loop.people import add_person as put
    from cd4ml.loop.people import unused_roles

    words = given.words
    person = put(given.project, words.name, roles=tuple(words.roles), actor=given.actor)
    unused = unused_roles(given.project, person)
    return Answer(person, lambda screen, person: _show_added(screen, person, unused))


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
                ", ".join(person.roles) or "none",
                moment(person.added_at),
                person.added_by,
            )
            for person in people
        ),
    )
