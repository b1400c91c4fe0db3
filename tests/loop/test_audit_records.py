"""What decided is what the ledger says of it, or nothing rests on it and no audit holds."""

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from cd4ml.errors import Corrupted
from cd4ml.loop import Project
from cd4ml.loop.audit import checkpoint, verify
from cd4ml.loop.audit_file import export
from cd4ml.loop.audit_keys import make_key
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.promote import abort, approve, request, stand
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.tokens import make_token
from cd4ml.loop.train import train
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
        ("UPDATE actors SET roles = '[\"release-manager\"]' WHERE name = 'eve'", "person/eve"),
    ],
)
def test_a_record_that_was_changed_is_named(
    released: Project, statement: str, name: str, tmp_path: Path
) -> None:
    make_token(released, EVE, actor=EVE)
    until = released.clock.now() + DAY
    stand(released, model="delay", environment="production", until=until, reason="right", actor=MAX)
    make_key(released, actor=ANN)
    assert verify(released).records == 11

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
