"""What was in production at a moment."""

from datetime import timedelta, timezone

import msgspec
import pytest
import sqlalchemy as sa

from cd4ml.errors import Corrupted, InvalidInput, NotFound
from cd4ml.loop import Project
from cd4ml.loop.production import InProduction, production
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.undo import undo
from cd4ml.loop.watch import collect
from cd4ml.records.plan import Plan
from cd4ml.store import ledger, rows
from tests.loop.test_roll_out import advance, begin
from tests.loop.world import BEGIN, DAY, HOUR, MAX, live, move


def shares(answers: list[InProduction]) -> list[tuple[str, str, float, int]]:
    (answer,) = answers
    return [
        (each.version, each.role, each.weight_percent, each.answered) for each in answer.versions
    ]


def test_it_is_told_which_version_answered_by_which_release_and_who_had_approved_it(
    released: Project,
) -> None:
    live(released, 3, apart=timedelta(minutes=25))
    collect(released)

    (then,) = production(released, at=BEGIN + timedelta(minutes=50))

    assert (then.environment, then.model, then.plan) == ("production", "delay", "plan/2")
    assert (then.since, then.until) == (BEGIN, None)
    (serving,) = then.versions
    assert (serving.version, serving.role, serving.weight_percent) == ("delay/1", "champion", 100)
    assert (serving.release, serving.requested_by) == ("release/2", "ann")
    assert [(each.by, each.reason, each.is_standing) for each in serving.approved] == [
        ("max", "looks good", False)
    ]
    assert serving.answered == 2  # at 0:25 and at 0:50


def test_each_step_of_a_rollout_and_its_undoing_is_a_moment_that_can_be_asked_for(
    released: Project,
) -> None:
    begin(released)
    roll_out(released)
    shadowed = released.clock.now()
    for seed in range(2, 5):
        advance(released, 40, seed=seed)
    taken = released.clock.now()
    move(released, DAY)
    undo(released, environment="production", reason="complaints", actor=MAX)

    assert shares(production(released, at=shadowed))[:2] == [
        ("delay/1", "champion", 100.0, 0),
        ("delay/2", "shadow", 0.0, 0),
    ]
    steps = {tuple(shares(production(released, at=BEGIN + i * HOUR))) for i in range(130)}
    assert {len(step) for step in steps} == {1, 2}
    (after,) = production(released, at=taken)
    assert [each.version for each in after.versions] == ["delay/2"]
    assert after.until == released.clock.now()
    (now,) = production(released)
    assert [(each.version, each.release) for each in now.versions] == [("delay/1", "release/2")]
    assert now.until is None


def test_before_the_first_release_nothing_was_in_production(released: Project) -> None:
    assert production(released, at=BEGIN - HOUR) == []
    assert production(released, model="fares") == []


def test_a_moment_is_the_same_in_every_time_zone(released: Project) -> None:
    live(released, 1)
    collect(released)
    at = BEGIN + HOUR
    in_delhi = at.astimezone(timezone(timedelta(hours=5, minutes=30)))

    assert shares(production(released, at=in_delhi)) == [("delay/1", "champion", 100.0, 1)]
    assert shares(production(released, at=at)) == [("delay/1", "champion", 100.0, 1)]


def test_a_clock_that_went_back_does_not_hide_the_newer_plan(released: Project) -> None:
    with released.database.write() as connection:
        newest = rows.get(connection, Plan, 2)
        number = rows.next_number(connection, Plan)
        early = msgspec.structs.replace(newest, number=number, made_at=BEGIN - DAY)
        rows.insert(connection, early)
        ledger.append(
            connection,
            at=early.made_at,
            actor="system",
            action="release.restored",
            subject=early.made_by,
            records=(early,),
        )

    (now,) = production(released)

    assert now.plan == f"plan/{number}"


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        (
            "INSERT INTO plans SELECT 3, environment, model, arms, release, made_at FROM plans"
            " WHERE number = 2",
            "plan/3 is not in the ledger",
        ),
        ("UPDATE releases SET requested_by = 'eve' WHERE number = 2", "release/2 was changed"),
        ("UPDATE approvals SET decided_by = 'eve'", "approval/1 was changed"),
    ],
)
def test_what_the_ledger_does_not_say_is_no_answer(
    released: Project, statement: str, name: str
) -> None:
    with released.database.write() as connection:
        connection.execute(sa.text(statement))

    with pytest.raises(Corrupted, match=name):
        production(released)


def test_what_is_yet_to_come_is_not_told(released: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        production(released, at=released.clock.now() + DAY)

    assert str(refused.value) == (
        "2013-02-02 00:00 UTC is yet to come, it is 2013-02-01 00:00\n"
        "  hint: leave out --at for what is in production now"
    )


def test_an_environment_that_never_was_is_said(released: Project) -> None:
    assert [each.environment for each in production(released, environment="staging")] == ["staging"]

    with pytest.raises(NotFound) as refused:
        production(released, environment="moon")

    assert str(refused.value) == (
        "no environment named 'moon' in cd4ml.toml\n  hint: known: staging, production"
    )
