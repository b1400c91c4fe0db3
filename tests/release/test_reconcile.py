"""One reconcile is one transition: row, traffic, names, ledger and lineage together, or nothing."""

from datetime import timedelta

import pytest

from cd4ml.errors import NotFound
from cd4ml.records.model_version import Alias
from cd4ml.records.release import Release
from cd4ml.records.rollout import RolloutEvidence
from cd4ml.release import releases
from cd4ml.release.reconcile import waits_for
from cd4ml.store import ledger, lineage, rows
from cd4ml.store.database import Database
from tests.release.builders import (
    ALONE,
    ENVIRONMENTS,
    NOW,
    OPEN,
    approved,
    everything,
    in_charge,
    plans,
    read,
    requested,
    settled,
    tick,
    traffic,
)

WORSE = RolloutEvidence(n_new=300, n_champion=300, n_labelled=250, worse_low=0.03, worse_high=0.09)


def actions(database: Database, subject: str) -> list[str]:
    with database.read() as connection:
        return [entry.action for entry in reversed(ledger.entries(connection, subject))]


def second(database: Database) -> Release:
    """The second release, approved, with the first in charge."""
    in_charge(database, 1)
    release = requested(database, 2)
    approved(database, release)
    return release


def test_the_first_release_takes_all_traffic_at_once(database: Database) -> None:
    release = requested(database, 1)
    approved(database, release)

    done = settled(database, release, evidence=None)

    assert (done.state, done.step, done.replaces, done.transitions) == ("released", 1, 0, 2)
    (plan,) = plans(database)
    assert traffic(plan) == [("champion", "delay/1", 100.0)]
    assert (plan.environment, plan.model, plan.release) == ("production", "delay", 1)
    assert done.plan == plan.number


def test_a_rollout_goes_through_its_steps_and_each_changes_the_traffic(database: Database) -> None:
    done = settled(database, second(database))

    assert (done.state, done.step, done.replaces) == ("released", 4, 1)
    assert [traffic(plan) for plan in plans(database)[1:]] == [
        [("champion", "delay/1", 100.0), ("shadow", "delay/2", 0.0)],
        [("champion", "delay/1", 95.0), ("canary", "delay/2", 5.0)],
        [("champion", "delay/1", 75.0), ("canary", "delay/2", 25.0)],
        [("champion", "delay/2", 100.0)],
    ]
    assert done.plan == plans(database)[-1].number


def test_an_approved_release_begins_only_while_staging_has_its_version(
    database: Database,
) -> None:
    for number in (1, 2):
        staged = requested(database, number, environment="staging", environments=ENVIRONMENTS)
        settled(database, staged, environments=ENVIRONMENTS)
        if number == 1:
            release = requested(database, 1, environments=ENVIRONMENTS)
            approved(database, release)

    assert tick(database, release, environments=ENVIRONMENTS) == release
    with database.read() as connection:
        reason = waits_for(connection, release, environments=ENVIRONMENTS, evidence=None, now=NOW)
    assert reason == "it has to be in charge in staging first, where delay/2 is"

    again = requested(database, 1, environment="staging", environments=ENVIRONMENTS)
    settled(database, again, environments=ENVIRONMENTS)
    assert settled(database, release, environments=ENVIRONMENTS).state == "released"


def test_the_release_before_is_superseded_and_the_champion_moves(database: Database) -> None:
    settled(database, second(database))

    assert read(database, 1).state == "superseded"
    with database.read() as connection:
        assert rows.get(connection, Alias, "delay", "champion").number == 2
        in_charge_now = releases.in_charge(connection, "delay", "production")
        moves = ledger.entries(connection, "delay@champion")
    assert in_charge_now is not None
    assert in_charge_now.number == 2
    steps = [(move.details["from"], move.details["to"]) for move in moves]
    assert steps == [(1, 2), (0, 1)]
    assert all(set(move.details["records"]) == {"alias/delay/champion"} for move in moves)


def test_the_champion_is_named_by_the_last_environment_alone(database: Database) -> None:
    staged = requested(database, 1, environment="staging", environments=ENVIRONMENTS)

    assert settled(database, staged, environments=ENVIRONMENTS).state == "released"

    with database.read() as connection:
        assert rows.find(connection, Alias) == []


def test_every_transition_is_in_the_ledger_with_what_decided_it(database: Database) -> None:
    settled(database, second(database))

    assert actions(database, "release/2") == [
        "release.requested",
        "approval.given",
        "release.begun",
        "release.advanced",
        "release.advanced",
        "release.advanced",
        "release.released",
    ]
    assert actions(database, "release/1")[-1] == "release.superseded"
    with database.read() as connection:
        last = ledger.entries(connection, "release/2", limit=1)[0]
        assert ledger.verify(connection) == len(ledger.entries(connection))
    assert (last.actor, last.reason) == (
        "system",
        "step 4 of 4 ended after 1000 predictions, 800 of them labelled; worse by -0.02 to 0.004",
    )
    assert last.details["state"] == "released"
    assert last.details["evidence"]["worse_high"] == 0.004


def test_a_plan_leads_back_to_the_releases_behind_all_its_versions(database: Database) -> None:
    release = tick(database, second(database))

    with database.read() as connection:
        hops = lineage.upstream(connection, f"plan/{release.plan}")
    served = {hop.edge.parent for hop in hops if hop.depth == 1}
    assert served == {"release/1", "release/2"}
    assert {"approval/1", "approval/2"} <= {hop.edge.parent for hop in hops}


def test_without_new_facts_nothing_changes(database: Database) -> None:
    release = tick(database, second(database))
    before = everything(database)

    same = tick(database, release, evidence=RolloutEvidence(n_new=99))

    assert same == release
    assert everything(database) == before


def test_what_was_measured_under_an_earlier_plan_decides_nothing(database: Database) -> None:
    seen = tick(database, second(database))
    moved = tick(database, seen)

    late = tick(database, seen, evidence=WORSE)

    assert late == moved == read(database, 2)
    assert (late.state, late.step) == ("rolling_out", 2)


def test_a_version_that_is_surely_worse_goes_back(database: Database) -> None:
    release = settled(database, second(database), evidence=RolloutEvidence(n_new=150))
    assert release.step == 2

    ended = tick(database, release, evidence=WORSE)

    assert ended.state == "aborted"
    assert ended.state_reason.startswith("surely worse than the champion by more than 0.01")
    assert traffic(plans(database)[-1]) == [("champion", "delay/1", 100.0)]
    assert plans(database)[-1].release == 1
    restored = read(database, 1)
    assert (restored.state, restored.plan) == ("released", plans(database)[-1].number)
    assert actions(database, "release/2")[-1] == "release.aborted"
    assert actions(database, "release/1")[-1] == "release.restored"
    with database.read() as connection:
        assert rows.get(connection, Alias, "delay", "champion").number == 1


def test_another_can_be_requested_after_one_was_aborted(database: Database) -> None:
    release = settled(database, second(database), evidence=RolloutEvidence(n_new=150))
    tick(database, release, evidence=WORSE)

    third = requested(database, 3)
    approved(database, third)

    assert settled(database, third).replaces == 1


def test_open_ends_of_an_interval_reach_the_ledger_as_nothing(database: Database) -> None:
    open_ended = RolloutEvidence(n_new=150, worse_low=float("-inf"), worse_high=float("inf"))

    release = tick(database, second(database), evidence=open_ended)
    tick(database, release, evidence=open_ended)

    with database.read() as connection:
        last = ledger.entries(connection, "release/2", limit=1)[0]
    assert last.details["evidence"]["worse_low"] is None
    assert last.details["evidence"]["n_new"] == 150


def test_of_two_approved_releases_the_second_waits_for_the_first(database: Database) -> None:
    in_charge(database, 1)
    older, newer = requested(database, 2), requested(database, 3)
    approved(database, older)
    approved(database, newer)
    older = tick(database, older)

    assert tick(database, newer).state == "awaiting_approval"
    with database.read() as connection:
        reason = waits_for(connection, newer, environments=ALONE, evidence=None, now=NOW)
    assert reason == "release/2 is rolling out; it has to end first"

    settled(database, older)
    assert tick(database, newer).state == "awaiting_approval"
    with database.read() as connection:
        reason = waits_for(connection, newer, environments=ALONE, evidence=None, now=NOW)
    assert reason == (
        "delay/3 was judged beside delay/1, and delay/2 is in charge in production; judge it again"
        " and request it again"
    )


def test_where_nobody_has_to_agree_the_next_reconcile_begins(database: Database) -> None:
    release = requested(database, 1, environments=OPEN)

    assert tick(database, release, environments=OPEN).state_reason == "needs no approval"


def test_a_release_says_what_it_waits_for(database: Database) -> None:
    release = requested(database, 1)

    def waiting(seen: Release, evidence: RolloutEvidence | None = None) -> str:
        with database.read() as connection:
            return waits_for(connection, seen, environments=ALONE, evidence=evidence, now=NOW)

    assert waiting(release) == "waits for 1 approval by release-manager"
    approved(database, release)
    assert waiting(release) == ""
    assert waiting(settled(database, release)) == "it is released"
    second_release = requested(database, 2)
    approved(database, second_release)
    rolling = tick(database, second_release)
    assert waiting(rolling) == "step 1 of 4 waits for 0 of 100 predictions"


def test_a_clock_that_goes_back_takes_no_release_back(database: Database) -> None:
    release = second(database)

    early = tick(database, release, now=NOW - timedelta(days=3))

    assert (early.state, early.entered_at) == ("rolling_out", NOW)
    with database.read() as connection:
        assert ledger.verify(connection) > 0


def test_an_environment_that_left_the_file_stops_its_releases(database: Database) -> None:
    release = second(database)

    with pytest.raises(NotFound, match="no environment named 'production'"):
        tick(database, release, environments={})

    assert read(database, 2) == release
