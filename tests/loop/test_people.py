"""Who may act."""

import pytest

from cd4ml.errors import InvalidInput, NotAllowed, NotFound
from cd4ml.loop import Project
from cd4ml.loop.audit import verify
from cd4ml.loop.people import add_person, people, remove_person, unused_roles
from cd4ml.loop.releases import release_details
from cd4ml.loop.standing import stand
from cd4ml.loop.tokens import NoToken, actor_with, make_token
from cd4ml.records.approval import StandingApproval
from cd4ml.store import rows
from tests.loop.test_evaluate import change
from tests.loop.world import ANN, DAY, EVE, MAX, actions


def test_an_admin_adds_people_and_changes_their_roles(project: Project) -> None:
    add_person(project, "ruth", roles=("release-manager",), actor=ANN)
    changed = add_person(project, EVE, roles=("release-manager", "admin"), actor=ANN)

    assert changed.roles == ("release-manager", "admin")
    assert [person.name for person in people(project)] == [ANN, EVE, MAX, "ruth"]
    assert actions(project)[3:] == ["person.added", "person.changed"]


def test_nobody_else_does(project: Project) -> None:
    with pytest.raises(NotAllowed) as refused:
        add_person(project, "ruth", roles=("admin",), actor=EVE)

    assert str(refused.value) == (
        "eve may not add people or change roles: it needs the role admin, has none"
    )
    assert len(people(project)) == 3


def test_who_is_not_known_is_told_how_to_become_known(project: Project) -> None:
    with pytest.raises(NotFound) as refused:
        add_person(project, "ruth", roles=(), actor="ruth")

    assert str(refused.value) == (
        "nobody named 'ruth' works on this project\n"
        "  hint: cd4ml people add ruth; known: ann, eve, max"
    )


@pytest.mark.parametrize("name", ["", " ruth", "ru\nth", "r" * 101, "\x1b[2J"])
def test_what_is_no_name_is_refused(project: Project, name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        add_person(project, name, roles=(), actor=ANN)

    assert str(refused.value) == (
        f"expected a name of 1 to 100 printable characters, got {name!r}\n"
        "  hint: spaces may stand within it, not around it"
    )


def test_nobody_is_called_as_the_system_is(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        add_person(project, "system", roles=("admin",), actor=ANN)

    assert str(refused.value) == (
        "'system' is who does what nobody asked for; a person needs another name"
    )


def test_roles_that_the_settings_ask_for_are_used(project: Project) -> None:
    mine = change(project, "[model]\n", '[model]\ntrusted_by = ["ml-engineer"]\n')
    person = add_person(mine, "mel", roles=("ml-engineer", "release-manager", "poet"), actor=ANN)

    assert unused_roles(mine, person) == ("poet",)


def test_who_is_removed_acts_no_more_and_what_they_did_stays(released: Project) -> None:
    secret = make_token(released, MAX, actor=MAX).secret
    until = released.clock.now() + DAY
    stand(released, model="delay", environment="production", until=until, reason="right", actor=MAX)

    removed = remove_person(released, MAX, reason="has left", actor=ANN)

    assert (removed.roles, removed.removed_at) == ((), released.clock.now())
    with pytest.raises(NoToken, match=r"^token/1 of max is worthless: revoked by ann"):
        actor_with(released, secret)
    with released.database.read() as connection:
        (given,) = rows.find(connection, StandingApproval)
    assert given.revoked_at == released.clock.now()
    with pytest.raises(NotFound) as refused:
        stand(released, model="delay", environment="production", until=until, reason="x", actor=MAX)
    assert str(refused.value) == (
        "max works on this project no more, since 2013-02-01 00:00\n"
        "  hint: cd4ml people add max lets them act again"
    )
    assert release_details(released, "release/2").approvals[0].decided_by == MAX
    assert actions(released)[-3:] == [
        "person.removed",
        "token.revoked",
        "standing_approval.revoked",
    ]
    verify(released)


def test_an_admin_stays_and_only_an_admin_removes(project: Project) -> None:
    with pytest.raises(NotAllowed, match=r"^ann stays an admin"):
        remove_person(project, ANN, reason="tired", actor=ANN)
    with pytest.raises(NotAllowed, match=r"^eve may not remove max: it needs the role admin"):
        remove_person(project, MAX, reason="envy", actor=EVE)
    with pytest.raises(NotFound, match=r"^nobody named 'zoe'"):
        remove_person(project, "zoe", reason="who?", actor=ANN)
