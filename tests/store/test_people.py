from datetime import timedelta

import pytest
import sqlalchemy as sa

from cd4ml.errors import NotAllowed, NotFound
from cd4ml.records.actor import Actor
from cd4ml.store import ledger, people, rows
from cd4ml.store.address import address_of_record
from cd4ml.store.database import Database, open_database
from tests.store.processes import at_once
from tests.store.records import NOW, actor


def add(connection: sa.Connection, name: str, *roles: str, by: str = "ann") -> Actor:
    return people.add(connection, name, roles=roles, by=by, at=NOW)


def test_the_first_person_adds_themselves_and_becomes_an_admin(database: Database) -> None:
    with database.write() as connection:
        ann = add(connection, "ann", "release-manager")

        assert ann == actor("ann", roles=("release-manager", "admin"))
        assert people.actor(connection, "ann") == ann
        (entry,) = ledger.entries(connection, "ann")
    assert (entry.action, entry.actor, entry.details) == (
        "person.added",
        "ann",
        {"roles": ["release-manager", "admin"], "records": {"person/ann": address_of_record(ann)}},
    )


def test_the_first_person_cannot_be_added_by_somebody_who_is_nobody_yet(
    database: Database,
) -> None:
    with database.write() as connection, pytest.raises(NotAllowed) as refused:
        add(connection, "ann", by="bob")

    assert str(refused.value) == (
        "bob may not add ann: the first person of a project adds themselves\n"
        "  hint: cd4ml people add bob --as bob"
    )


def add_oneself(url: str, name: str) -> bool:
    database = open_database(url)
    try:
        with database.write() as connection:
            add(connection, name, by=name)
    except NotFound:
        return False
    finally:
        database.close()
    return True


def test_of_several_who_come_first_at_once_one_becomes_the_admin(database_url: str) -> None:
    was_first = at_once(add_oneself, [(database_url, f"person-{i}") for i in range(4)])

    assert sorted(was_first) == [False, False, False, True]
    database = open_database(database_url)
    with database.read() as connection:
        (admin,) = rows.find(connection, Actor)
    assert admin.roles == ("admin",)
    database.close()


def test_an_admin_adds_people_and_changes_their_roles(database: Database) -> None:
    with database.write() as connection:
        add(connection, "ann")
        bob = add(connection, "bob", "release-manager", "release-manager")
        changed = people.add(
            connection, "bob", roles=("reviewer",), by="ann", at=NOW + timedelta(days=1)
        )
        actions = [entry.action for entry in ledger.entries(connection, "bob")]

        assert bob == actor("bob", roles=("release-manager",), added_by="ann")
        assert changed == actor("bob", roles=("reviewer",), added_by="ann")
        assert people.actor(connection, "bob") == changed
        assert actions == ["person.changed", "person.added"]


def test_only_an_admin_may_add_people(database: Database) -> None:
    with database.write() as connection:
        add(connection, "ann")
        add(connection, "bob", "release-manager")
        add(connection, "zoe")
        for name, has in (("bob", "release-manager"), ("zoe", "none"), ("system", "none")):
            with pytest.raises(NotAllowed) as refused:
                add(connection, "dan", by=name)
            assert str(refused.value) == (
                f"{name} may not add people or change roles: it needs the role admin, has {has}"
            )

        assert rows.count(connection, Actor) == 3
        assert ledger.verify(connection) == 3


def test_the_last_admin_stays_one(database: Database) -> None:
    with database.write() as connection:
        add(connection, "ann")
        with pytest.raises(NotAllowed) as refused:
            add(connection, "ann", "release-manager")
        add(connection, "bob", "admin")
        add(connection, "ann", "release-manager", by="bob")

        assert people.actor(connection, "ann").roles == ("release-manager",)
    assert str(refused.value) == (
        "ann stays an admin: without one nobody could add people or change roles\n"
        "  hint: make somebody else an admin first"
    )


def test_an_unknown_actor_is_told_who_is_known_and_how_to_be_added(database: Database) -> None:
    with database.write() as connection:
        with pytest.raises(NotFound) as nobody:
            people.actor(connection, "ann")
        add(connection, "ann")
        with pytest.raises(NotFound) as unknown:
            add(connection, "bob", by="bob")

    assert str(nobody.value) == (
        "nobody named 'ann' works on this project\n  hint: cd4ml people add ann; there are none yet"
    )
    assert str(unknown.value) == (
        "nobody named 'bob' works on this project\n  hint: cd4ml people add bob; known: ann"
    )


def test_the_system_acts_without_having_been_added(database: Database) -> None:
    with database.read() as connection:
        system = people.actor(connection, people.SYSTEM)

    assert (system.name, system.kind, system.roles) == ("system", "system", ())


def test_any_one_of_the_roles_is_enough() -> None:
    people.require_role(actor(roles=("reviewer",)), ("release-manager", "reviewer"), what="approve")

    with pytest.raises(NotAllowed) as refused:
        people.require_role(actor(), ("release-manager", "reviewer"), what="approve release/1")
    assert str(refused.value) == (
        "ann may not approve release/1: it needs the role release-manager or reviewer, has none"
    )
