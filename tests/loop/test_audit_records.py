"""What decided is what the ledger says of it, or nothing rests on it and no audit holds."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from cd4ml.errors import Corrupted
from cd4ml.loop import Project
from cd4ml.loop.audit import checkpoint, ledger, verify
from cd4ml.loop.audit_file import export
from cd4ml.loop.audit_keys import make_key
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.govern import withdraw
from cd4ml.loop.people import add_person, remove_person
from cd4ml.loop.promote import approve, reject, request
from cd4ml.loop.registry import remove_alias, set_alias
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.standing import stand
from cd4ml.loop.tokens import actor_with, make_token
from cd4ml.loop.train import train
from cd4ml.loop.undo import abort
from cd4ml.records.plan import Plan
from cd4ml.store import rows
from tests.loop.world import ANN, DAY, EVE, MAX


def change(project: Project, *statements: str) -> None:
    """What somebody does who may write to the database."""
    with project.database.write() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


def broken(check: Callable[[], object]) -> str:
    with pytest.raises(Corrupted) as found:
        check()
    return found.value.message


def staged(project: Project) -> None:
    """A second version that waits for approval."""
    run = train(project, overrides={"delay.strength": 0.5}, actor=ANN).run
    version = evaluate(project, run.ref, actor=ANN).version
    assert version is not None
    request(project, version.ref, to="staging", reason="next", actor=ANN)
    request(project, version.ref, to="production", reason="next", actor=ANN)


@pytest.mark.parametrize(
    ("statement", "name"),
    [
        ("UPDATE approvals SET decided_by = 'mallory'", "approval/1"),
        ("UPDATE verdicts SET outcome = 'fail'", "verdict/1"),
        ("UPDATE releases SET requested_by = 'eve' WHERE number = 2", "release/2"),
        ("UPDATE standing_approvals SET expires_at = given_at", "standing-approval/1"),
        ("UPDATE plans SET release = 1 WHERE number = 2", "plan/2"),
        ("UPDATE tokens SET actor = 'max'", "token/1"),
        ("UPDATE model_versions SET contract = artifact", "version/delay/1"),
        ("UPDATE actors SET roles = '[\"release-manager\"]' WHERE name = 'eve'", "person/eve"),
        ("UPDATE aliases SET number = 2", "alias/delay/champion"),
        ("UPDATE aliases SET moved_by = 'eve'", "alias/delay/champion"),
    ],
)
def test_a_record_that_was_changed_is_named(
    released: Project, statement: str, name: str, tmp_path: Path
) -> None:
    make_token(released, EVE, actor=EVE)
    until = released.clock.now() + DAY
    stand(released, model="delay", environment="production", until=until, reason="right", actor=MAX)
    make_key(released, actor=ANN)
    assert verify(released).records == 13

    change(released, statement)

    for check in (
        lambda: verify(released),
        lambda: checkpoint(released, actor=ANN),
        lambda: export(released, tmp_path / "ledger.jsonl", actor=ANN),
    ):
        assert broken(check).startswith(f"{name} was changed since entry ")
    assert not (tmp_path / "ledger.jsonl").exists()


def test_a_record_that_was_put_in_or_taken_away_is_named(released: Project) -> None:
    change(
        released,
        "INSERT INTO approvals SELECT 2, release, subject, decision, reason, roles, round,"
        " standing, decided_at, 'eve', expires_at FROM approvals",
    )
    assert broken(lambda: verify(released)) == (
        "approval/2 is not in the ledger: no entry says how it came to be"
    )

    change(released, "DELETE FROM approvals")
    assert broken(lambda: verify(released)) == (
        "approval/1 is missing, of which entry 14 of the ledger says that it is there"
    )


def test_an_alias_that_was_put_in_or_taken_away_is_named(released: Project) -> None:
    change(
        released,
        "INSERT INTO aliases SELECT model, 'challenger', number, moved_at, moved_by FROM aliases",
    )
    assert broken(lambda: verify(released)) == (
        "alias/delay/challenger is not in the ledger: no entry says how it came to be"
    )

    change(released, "DELETE FROM aliases")
    assert broken(lambda: verify(released)).startswith("alias/delay/champion is missing, of which")


def test_aliases_that_come_move_and_go_are_what_the_ledger_says(released: Project) -> None:
    before = verify(released).records
    assert before is not None

    set_alias(released, "delay/1", "best", actor=ANN)
    assert verify(released).records == before + 1
    remove_alias(released, "delay@best", actor=ANN)
    assert verify(released).records == before
    set_alias(released, "delay/1", "best", actor=ANN)
    assert verify(released).records == before + 1


def test_moving_an_alias_hides_nothing_that_somebody_did_to_it(released: Project) -> None:
    staged(released)
    set_alias(released, "delay/1", "best", actor=ANN)
    change(released, "UPDATE aliases SET moved_by = 'eve' WHERE name = 'best'")
    set_alias(released, "delay/2", "best", actor=ANN)
    change(released, "DELETE FROM aliases WHERE name = 'best'")
    set_alias(released, "delay/1", "best", actor=ANN)

    found = verify(released).found_changed

    said = [entry for entry in ledger(released, subject="delay@best") if entry.sequence in found]
    assert [entry.reason.partition(", of which")[0].partition(" since")[0] for entry in said] == [
        "alias/delay/best is missing",
        "alias/delay/best was changed",
    ]


def test_no_release_rests_on_a_verdict_that_was_changed(released: Project) -> None:
    staged(released)
    change(released, "UPDATE verdicts SET judged_by = 'eve' WHERE number = 2")
    was_changed = "verdict/2 was changed since entry "

    assert broken(lambda: approve(released, "release/4", reason="fine", actor=MAX)).startswith(
        was_changed
    )
    abort(released, "release/4", reason="not so", actor=MAX)
    assert broken(
        lambda: request(released, "delay/2", to="production", reason="next", actor=ANN)
    ).startswith(was_changed)


def test_no_release_begins_on_an_approval_that_nobody_gave(released: Project) -> None:
    staged(released)
    change(
        released,
        "INSERT INTO approvals SELECT 2, 4, (SELECT content FROM releases WHERE number = 4),"
        " decision, reason, roles, round, standing, decided_at, decided_by, expires_at"
        " FROM approvals",
    )

    assert broken(lambda: roll_out(released, "release/4")) == (
        "approval/2 is not in the ledger: no entry says how it came to be"
    )


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE actors SET roles = '[\"release-manager\"]' WHERE name = 'eve'",
        "INSERT INTO actors SELECT 'zoe', kind, roles, added_at, added_by, removed_at FROM actors"
        " WHERE name = 'max'",
    ],
)
def test_nobody_acts_in_roles_that_nobody_gave_them(released: Project, statement: str) -> None:
    staged(released)
    change(released, statement)
    name = "zoe" if "zoe" in statement else "eve"
    said = f"person/{name} "

    assert broken(lambda: approve(released, "release/4", reason="fine", actor=name)).startswith(
        said
    )
    with pytest.raises(Corrupted, match=said):
        add_person(released, name, roles=("clinician",), actor=ANN)
    with pytest.raises(Corrupted, match=said):
        remove_person(released, name, reason="who is this?", actor=ANN)
    assert broken(lambda: verify(released)).startswith(said)


def test_no_version_goes_that_is_not_the_one_that_people_agreed_to(released: Project) -> None:
    staged(released)
    change(
        released,
        "UPDATE model_versions SET artifact = (SELECT artifact FROM model_versions WHERE number = 1)"
        " WHERE number = 2",
    )
    was_changed = "version/delay/2 was changed since entry "

    for attempt in (
        lambda: approve(released, "release/4", reason="fine", actor=MAX),
        lambda: request(released, "delay/2", to="production", reason="again", actor=ANN),
        lambda: verify(released),
    ):
        assert broken(attempt).startswith(was_changed)
    with released.database.read() as connection:
        newest = rows.find(connection, Plan, environment="production", newest_first=True, limit=1)
    assert [arm.number for arm in newest[0].arms] == [1]


def test_nothing_rests_on_a_run_whose_code_is_another_one_now(released: Project) -> None:
    """A standing approval covers what has the code that people agreed to."""
    staged(released)
    change(released, "UPDATE runs SET code = (SELECT code FROM runs WHERE number = 1) || 'x'")
    was_changed = "run/2 was changed since entry "

    for attempt in (
        lambda: approve(released, "release/4", reason="fine", actor=MAX),
        lambda: request(released, "delay/2", to="production", reason="again", actor=ANN),
    ):
        assert broken(attempt).startswith(was_changed)


def test_what_was_changed_of_a_release_is_not_written_over(released: Project) -> None:
    staged(released)
    change(released, "UPDATE releases SET requested_by = 'eve' WHERE number = 4")
    was_changed = "release/4 was changed since entry "

    for attempt in (
        lambda: withdraw(released, "release/4", reason="mine", actor=EVE),
        lambda: reject(released, "release/4", reason="no", actor=MAX),
        lambda: verify(released),
    ):
        assert broken(attempt).startswith(was_changed)


def test_going_back_does_not_wait_and_says_for_ever_what_it_found(released: Project) -> None:
    staged(released)
    approve(released, "release/4", reason="fine", actor=MAX)
    change(released, "UPDATE releases SET reason = 'forged' WHERE number = 4")
    assert broken(lambda: verify(released)).startswith("release/4 was changed since entry ")

    aborted = abort(released, "release/4", reason="it is wrong", actor=EVE)

    assert aborted.state == "aborted"
    report = verify(released)
    (said,) = report.found_changed
    entries = {each.sequence: each for each in ledger(released, subject="release/4")}
    assert entries[said].reason.startswith("release/4 was changed since entry ")
    assert (entries[said].actor, entries[said].action) == (EVE, "record.found_changed")


def test_no_token_that_nobody_made_is_good_for_anything(released: Project) -> None:
    made = make_token(released, EVE, actor=EVE)
    assert actor_with(released, made.secret) == EVE
    change(released, "UPDATE tokens SET actor = 'max'")

    assert broken(lambda: actor_with(released, made.secret)).startswith("token/1 was changed")
