"""Going back is at once, needs no approval, and is written down."""

from datetime import timedelta

import pytest

from cd4ml.errors import Conflict, Refused
from cd4ml.records.model_version import Alias
from cd4ml.records.release import Release
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.release.reversals import abort, undo
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.database import Database
from tests.release.builders import (
    ALONE,
    ENVIRONMENTS,
    LIN,
    NOW,
    approved,
    in_charge,
    plans,
    read,
    requested,
    settled,
    tick,
    traffic,
)

LATER = NOW + timedelta(hours=1)


def undone(
    database: Database,
    number: int,
    environments: dict[str, EnvironmentSettings] = ALONE,
) -> Release:
    with database.write() as connection:
        return undo(
            connection,
            number,
            environments=environments,
            by=LIN,
            reason="customers complain",
            at=LATER,
        )


def aborted(database: Database, number: int, reason: str = "wrong week") -> Release:
    with database.write() as connection:
        return abort(connection, number, by=LIN, reason=reason, at=LATER)


class TestUndo:
    def test_the_version_before_is_in_charge_again_at_once(self, database: Database) -> None:
        in_charge(database, 1)
        in_charge(database, 2)

        restored = undone(database, 2)

        assert restored == read(database, 1)
        assert (restored.state, restored.entered_at) == ("released", LATER)
        assert restored.state_reason == "release/2 was undone"
        ended = read(database, 2)
        assert (ended.state, ended.state_reason) == ("undone", "undone by lin: customers complain")
        newest = plans(database)[-1]
        assert traffic(newest) == [("champion", "delay/1", 100.0)]
        assert (newest.release, newest.made_at, restored.plan) == (1, LATER, newest.number)

    def test_the_champion_moves_back_and_the_ledger_says_so(self, database: Database) -> None:
        in_charge(database, 1)
        in_charge(database, 2)
        undone(database, 2)

        with database.read() as connection:
            alias = rows.get(connection, Alias, "delay", "champion")
            entries = ledger.entries(connection, limit=3)
            assert ledger.verify(connection) > 0
            (served,) = [
                hop
                for hop in lineage.upstream(connection, plans(database)[-1].ref)
                if hop.depth == 1
            ]
        assert (alias.number, alias.moved_by, alias.moved_at) == (1, "lin", LATER)
        assert [(entry.actor, entry.action, entry.subject) for entry in entries] == [
            ("lin", "alias.moved", "delay@champion"),
            ("lin", "release.undone", "release/2"),
            ("lin", "release.restored", "release/1"),
        ]
        assert served.edge.parent == "release/1"

    def test_undoing_again_goes_back_one_further(self, database: Database) -> None:
        for number in (1, 2, 3):
            in_charge(database, number)
        undone(database, 3)

        assert undone(database, 2).number == 1

        assert [read(database, number).state for number in (1, 2, 3)] == [
            "released",
            "undone",
            "undone",
        ]

    def test_undoing_the_same_release_twice_is_refused(self, database: Database) -> None:
        for number in (1, 2, 3):
            in_charge(database, number)
        undone(database, 3)

        with pytest.raises(Conflict) as caught:
            undone(database, 3)

        assert str(caught.value) == "release/3 is undone; only one in charge can be undone"
        assert read(database, 2).state == "released"

    def test_an_undone_version_can_be_released_again(self, database: Database) -> None:
        in_charge(database, 1)
        in_charge(database, 2)
        undone(database, 2)

        again = in_charge(database, 2)

        assert (again.number, again.state, again.replaces) == (3, "released", 1)

    def test_the_first_release_cannot_be_undone(self, database: Database) -> None:
        in_charge(database, 1)

        with pytest.raises(Refused) as caught:
            undone(database, 1)

        assert str(caught.value) == (
            "release/1 was not undone: it is the first in production\n"
            "  hint: release another version instead"
        )
        assert read(database, 1).state == "released"

    def test_while_another_rolls_out_that_one_has_to_be_aborted_first(
        self, database: Database
    ) -> None:
        in_charge(database, 1)
        in_charge(database, 2)
        third = requested(database, 3)
        approved(database, third)
        tick(database, third)

        with pytest.raises(Conflict) as caught:
            undone(database, 2)

        assert str(caught.value) == (
            "release/2 was not undone: release/3 is rolling out in its place\n"
            "  hint: first: cd4ml release abort release/3"
        )

    def test_in_an_earlier_environment_the_champion_stays(self, database: Database) -> None:
        for number in (1, 2):
            release = requested(database, number, environment="staging", environments=ENVIRONMENTS)
            settled(database, release, environments=ENVIRONMENTS)

        assert undone(database, 2, environments=ENVIRONMENTS).version == 1

        with database.read() as connection:
            assert rows.find(connection, Alias) == []


class TestAbort:
    def test_a_rollout_that_is_aborted_leaves_the_champion_alone(self, database: Database) -> None:
        in_charge(database, 1)
        release = requested(database, 2)
        approved(database, release)
        rolling = tick(database, release)

        ended = aborted(database, rolling.number)

        assert (ended.state, ended.state_reason) == ("aborted", "aborted by lin: wrong week")
        assert traffic(plans(database)[-1]) == [("champion", "delay/1", 100.0)]
        assert read(database, 1).state == "released"
        assert settled(database, ended) == ended

    def test_a_release_that_waits_is_aborted_without_touching_traffic(
        self, database: Database
    ) -> None:
        requested(database, 1)

        ended = aborted(database, 1, reason="")

        assert (ended.state, ended.state_reason) == ("aborted", "aborted by lin")
        assert plans(database) == []

    def test_what_is_in_charge_is_undone_not_aborted(self, database: Database) -> None:
        in_charge(database, 1)

        with pytest.raises(Conflict) as caught:
            aborted(database, 1)

        assert str(caught.value) == (
            "release/1 is released; only one on its way can be aborted\n"
            "  hint: cd4ml undo --in production"
        )

    def test_what_has_ended_cannot_be_aborted_again(self, database: Database) -> None:
        requested(database, 1)
        aborted(database, 1)

        with pytest.raises(Conflict) as caught:
            aborted(database, 1)

        assert str(caught.value) == "release/1 is aborted; only one on its way can be aborted"

    def test_the_first_release_with_traffic_has_nothing_to_go_back_to(
        self, database: Database
    ) -> None:
        release = requested(database, 1)
        approved(database, release)
        tick(database, release)

        with pytest.raises(Refused) as caught:
            aborted(database, 1)

        assert str(caught.value) == (
            "release/1 was not aborted: it is the first in production\n"
            "  hint: release another version instead"
        )
        assert settled(database, read(database, 1)).state == "released"
