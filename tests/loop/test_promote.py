"""Releases are asked for by one, agreed to by another, and can be taken back."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cd4ml.errors import (
    AlreadyExists,
    Cd4mlError,
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotAllowed,
    NotFound,
    Refused,
)
from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.promote import approve, reject, request
from cd4ml.loop.refs import version_in
from cd4ml.loop.registry import models
from cd4ml.loop.releases import release_details, releases
from cd4ml.loop.retrain import ask
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.standing import revoke, stand
from cd4ml.loop.train import train
from cd4ml.loop.undo import abort, undo
from cd4ml.models.manifest import COMPILED, Manifest
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.release import approvals
from cd4ml.store import people, rows
from cd4ml.store.project import open_project as read_project
from tests.loop.test_evaluate import change
from tests.loop.test_ingest import add_flights
from tests.loop.world import ANN, BEGIN, DAY, EVE, MAX, actions, release_first


def accept(project: Project) -> str:
    """A version that passed."""
    version = evaluate(project, train(project, actor=ANN).run.ref, actor=ANN).version
    assert version is not None
    return version.ref


def ask_for_production(project: Project, version: str = "delay/1") -> Release:
    request(project, version, to="staging", actor=ANN)
    return request(project, version, to="production", reason="good", actor=ANN)


def first(project: Project) -> Release:
    """delay/1, requested for production."""
    accept(project)
    return ask_for_production(project)


def second(released: Project) -> Release:
    """delay/2, requested for production."""
    add_flights(released, 30)
    return ask_for_production(released, accept(released))


ROLLOUT = """\
  { mode = "shadow", predictions = 20 },
  { mode = "canary", weight_percent = 50, predictions = 10, labels = 5 },
"""


class TestTheChampion:
    """What is good enough beside one version, or beside none, may be worse than the next."""

    def test_a_verdict_from_before_there_was_a_champion_is_too_little(
        self, project: Project
    ) -> None:
        early = evaluate(project, weaker(project), actor=ANN).version
        assert early is not None
        release_first(project)

        with pytest.raises(Refused) as refused:
            request(project, early.ref, to="staging", actor=ANN)

        assert str(refused.value) == (
            "delay/1 was not released: delay/1 was judged beside no version, and delay/2 is in"
            " charge in production\n"
            "  hint: cd4ml gate delay/1 judges it again beside delay/2"
        )
        evaluate(project, early.ref, actor=ANN)
        release = request(project, early.ref, to="staging", actor=ANN)
        assert release_details(project, release.ref).evidence.beside == "delay/2"

    def test_nobody_agrees_to_what_was_judged_beside_another_champion(
        self, released: Project
    ) -> None:
        with change(released, ROLLOUT, "") as at_once:
            approve(at_once, second(at_once).ref, reason="better", actor=MAX)
            add_flights(at_once, 60)
            release = ask_for_production(at_once, accept(at_once))
            undo(at_once, environment="production", reason="complaints", actor=MAX)

            with pytest.raises(Refused) as refused:
                approve(at_once, release.ref, reason="good", actor=MAX)

            unlike = "delay/3 was judged beside delay/2, and delay/1 is in charge in production"
            assert str(refused.value) == (
                f"delay/3 ({release.ref}) was not approved: {unlike}\n"
                "  hint: cd4ml gate delay/3 judges it again beside delay/1; then cd4ml release"
                f" withdraw {release.ref}, and request it anew"
            )
            waits_for = release_details(at_once, release.ref).waits_for
            assert waits_for == f"{unlike}; judge it again and request it again"


def damage(project: Project, version: str) -> Path:
    """Another byte in the version's packaged model; returns the file."""
    with project.database.read() as connection:
        artifact = rows.get(connection, ModelVersion, *version_in(version)).artifact
    files = project.blobs.get_record(artifact, Manifest).files
    path = project.blobs.path(files[COMPILED])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"!")
    return path


class TestADamagedModel:
    def test_is_not_requested(self, project: Project) -> None:
        version = accept(project)
        path = damage(project, version)

        with pytest.raises(Refused) as refused:
            request(project, version, to="staging", actor=ANN)

        first, hint = str(refused.value).splitlines()
        assert first.startswith(
            f"delay/1 was not released: its stored model is damaged, in {COMPILED}: "
        )
        assert path.name in first
        assert hint == (
            "  hint: put the file back from a copy of the store, or train and judge it again"
        )
        assert releases(project) == []

    def test_is_not_approved(self, project: Project) -> None:
        release = first(project)
        damage(project, "delay/1")

        with pytest.raises(Refused) as refused:
            approve(project, release.ref, reason="good", actor=MAX)

        assert str(refused.value).startswith(
            f"delay/1 ({release.ref}) was not approved: its stored model is damaged"
        )

    def test_does_not_begin_and_waits_until_it_is_mended(self, released: Project) -> None:
        with change(released, ROLLOUT, "") as at_once:
            release = second(at_once)
            with at_once.database.write() as connection:
                approvals.approve(
                    connection,
                    release.number,
                    subject=release.content,
                    settings=at_once.settings.environments["production"],
                    by=people.actor(connection, MAX),
                    reason="good",
                    at=at_once.clock.now(),
                )
            path = damage(at_once, "delay/2")

            with pytest.raises(Refused, match=r"\(release/4\) did not begin: its stored model"):
                roll_out(at_once)

            assert states(at_once)[-1] == "awaiting_approval"
            path.write_bytes(path.read_bytes()[:-1])
            roll_out(at_once)
            assert states(at_once)[-1] == "released"


def weaker(project: Project) -> str:
    return train(project, overrides={"delay.strength": 0.5}, actor=ANN).run.ref


def states(project: Project) -> list[str]:
    return [release.state for release in releases(project)]


def aliases(project: Project) -> dict[str, tuple[str, ...]]:
    return {summary.version.ref: summary.aliases for summary in models(project)}


def test_where_nobody_has_to_agree_it_is_released_at_once(project: Project) -> None:
    release = request(project, accept(project), to="staging", reason="try it", actor=ANN)

    assert (release.ref, release.state, release.reason) == ("release/1", "released", "try it")
    assert actions(project)[-3:] == ["release.requested", "release.begun", "release.released"]


def test_where_somebody_has_to_agree_it_waits(project: Project) -> None:
    accept(project)

    release = ask_for_production(project)

    assert release.state == "awaiting_approval"
    details = release_details(project, release.ref)
    assert details.waits_for == "waits for 1 approval by release-manager"
    assert details.approvals == details.plans == ()
    assert aliases(project) == {"delay/1": ()}


def test_asking_again_while_it_waits_is_the_same_release(project: Project) -> None:
    release = first(project)
    before = actions(project)

    assert request(project, "delay/1", to="production", actor=ANN) == release
    assert actions(project) == before


def test_who_asks_does_not_agree(project: Project) -> None:
    release = first(project)
    before = actions(project)

    with pytest.raises(NotAllowed) as refused:
        approve(project, release.ref, reason="I am sure", actor=ANN)

    assert str(refused.value) == (
        "ann may not approve release/2: who requests a release does not approve it\n"
        "  hint: somebody else with the role release-manager has to"
    )
    assert actions(project) == before


def test_who_lacks_the_role_does_not_agree(project: Project) -> None:
    release = first(project)

    with pytest.raises(NotAllowed) as refused:
        approve(project, release.ref, reason="why not", actor=EVE)

    assert str(refused.value) == (
        "eve may not approve release/2: it needs the role release-manager, has none"
    )
    assert states(project) == ["released", "awaiting_approval"]


def test_an_approval_by_somebody_else_releases_it(project: Project) -> None:
    release_first(project)

    (_, release) = releases(project)
    assert release.state == "released"
    details = release_details(project, "2")
    assert [(a.decided_by, a.decision, a.subject) for a in details.approvals] == [
        (MAX, "approve", release.content)
    ]
    assert [plan.arms[0].ref for plan in details.plans] == ["delay/1"]
    assert [entry.action for entry in details.ledger] == [
        "release.requested",
        "approval.given",
        "release.begun",
        "release.released",
    ]
    assert aliases(project) == {"delay/1": ("champion",)}


def test_agreeing_again_changes_nothing(released: Project) -> None:
    before = actions(released)

    release = approve(released, "release/2", reason="looks good", actor=MAX)

    assert release.state == "released"
    assert actions(released) == before


def test_an_approval_counts_only_for_the_settings_it_was_asked_under(released: Project) -> None:
    release = second(released)

    with (
        change(released, "weight_percent = 50", "weight_percent = 90") as changed,
        pytest.raises(Refused) as refused,
    ):
        approve(changed, release.ref, reason="fine", actor=MAX)

    assert str(refused.value) == (
        "release/4 was not approved: the settings of production in cd4ml.toml have changed since"
        " it was requested\n"
        "  hint: reject it and request it again, or restore the settings"
    )
    assert states(released)[-1] == "awaiting_approval"


def test_a_rejection_ends_it_and_needs_a_reason(released: Project) -> None:
    release = second(released)

    with pytest.raises(InvalidInput):
        reject(released, release.ref, reason=" ", actor=MAX)
    rejected = reject(released, release.ref, reason="not on a Friday", actor=MAX)
    before = actions(released)

    assert rejected.state == "rejected"
    assert rejected.state_reason == "rejected by max: not on a Friday"
    assert reject(released, release.ref, reason="not on a Friday", actor=MAX) == rejected
    assert actions(released) == before
    with pytest.raises(Conflict):
        approve(released, release.ref, reason="oh well", actor=MAX)


def test_what_is_in_charge_cannot_be_asked_for_again(released: Project) -> None:
    with pytest.raises(AlreadyExists) as refused:
        request(released, "delay/1", to="production", actor=ANN)

    assert str(refused.value) == "delay/1 is in charge in production already, by release/2"


def test_production_comes_after_staging(project: Project) -> None:
    accept(project)

    with pytest.raises(Refused) as refused:
        request(project, "delay/1", to="production", actor=ANN)

    assert str(refused.value) == (
        "delay/1 was not released to production: it has to be in charge in staging first,"
        " where no version is\n  hint: cd4ml release delay/1 --to staging"
    )
    assert releases(project) == []


def test_what_has_left_staging_is_not_approved_for_production(released: Project) -> None:
    waiting = second(released)
    add_flights(released, 40)
    request(released, accept(released), to="staging", actor=ANN)
    before = actions(released)

    with pytest.raises(Refused) as refused:
        approve(released, waiting.ref, reason="good", actor=MAX)

    assert str(refused.value) == (
        "delay/2 was not released to production: it has to be in charge in staging first,"
        " where delay/3 is\n  hint: cd4ml release delay/2 --to staging"
    )
    assert actions(released) == before
    request(released, "delay/2", to="staging", actor=ANN)
    assert approve(released, waiting.ref, reason="good", actor=MAX).state == "rolling_out"


def test_a_revoked_standing_approval_covers_nothing_more(released: Project) -> None:
    standing = stand(
        released,
        model="delay",
        environment="production",
        until=BEGIN + 30 * DAY,
        reason="what passes every gate",
        actor=MAX,
    )

    revoked = revoke(released, "standing-approval/1", reason="the data moved house", actor=MAX)

    assert revoked.revoked_at == released.clock.now()
    assert (revoked.number, actions(released)[-1]) == (standing.number, "standing_approval.revoked")
    with pytest.raises(Conflict, match="standing-approval/1 was revoked at"):
        revoke(released, "1", reason="again", actor=MAX)


def test_revoking_says_why(released: Project) -> None:
    with pytest.raises(InvalidInput, match="revoking standing-approval/1 needs a reason"):
        revoke(released, "standing-approval/1", reason=" ", actor=MAX)


@pytest.mark.parametrize("reason", ["", "  ", "\n"])
def test_whoever_agrees_or_goes_back_says_why(released: Project, reason: str) -> None:
    waiting = second(released)
    before = actions(released)
    attempts: list[tuple[str, Callable[[], object]]] = [
        ("approving release/4", lambda: approve(released, waiting.ref, reason=reason, actor=MAX)),
        (
            "going back in staging",
            lambda: undo(released, environment="staging", reason=reason, actor=MAX),
        ),
        ("aborting release/4", lambda: abort(released, waiting.ref, reason=reason, actor=MAX)),
        ("a retraining", lambda: ask(released, reason=reason, actor=MAX)),
    ]

    for doing, attempt in attempts:
        with pytest.raises(InvalidInput, match=f"^{doing} needs a reason\n  hint: say what"):
            attempt()

    assert actions(released) == before


def test_a_standing_approval_says_for_what_and_how_long(released: Project) -> None:
    standing = stand(
        released,
        model="delay",
        environment="production",
        until=BEGIN + 30 * DAY,
        reason="it has been right for a year",
        actor=MAX,
    )

    assert (standing.number, standing.given_by, standing.roles) == (1, MAX, ("release-manager",))
    assert standing.expires_at == BEGIN + 30 * DAY
    assert actions(released)[-1] == "standing_approval.given"


def test_it_does_not_cover_what_a_person_asks_for(released: Project) -> None:
    stand(
        released,
        model="delay",
        environment="production",
        until=BEGIN + 30 * DAY,
        reason="for the robot",
        actor=MAX,
    )

    assert second(released).state == "awaiting_approval"


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"actor": EVE}, NotAllowed, "it needs the role release-manager, has none"),
        ({"actor": "mallory"}, NotFound, "nobody named 'mallory' works on this project"),
        ({"reason": ""}, InvalidInput, "a standing approval says why"),
        (
            {"until": BEGIN - DAY},
            InvalidInput,
            "a standing approval ends in the future, got 2013-01-31 00:00",
        ),
        ({"environment": "prod"}, NotFound, "prod"),
        ({"model": "nope"}, NotFound, "no model named 'nope'\n  hint: known: delay"),
        ({"environment": "staging"}, InvalidInput, "no approval is asked for there"),
    ],
)
def test_a_standing_approval_that_cannot_be_is_refused(
    released: Project, changes: dict[str, Any], error: type[Cd4mlError], message: str
) -> None:
    words: dict[str, Any] = {
        "model": "delay",
        "environment": "production",
        "until": BEGIN + DAY,
        "reason": "it is fine",
        "actor": MAX,
    }
    before = actions(released)

    with pytest.raises(error) as refused:
        stand(released, **{**words, **changes})

    assert message in str(refused.value)
    assert actions(released) == before


def test_undo_puts_the_version_before_back_in_charge(released: Project) -> None:
    second(released)

    undone = undo(released, environment="staging", reason="it stutters", actor=ANN)

    assert (undone.ref, undone.state) == ("release/1", "released")
    assert states(released) == ["released", "released", "undone", "awaiting_approval"]
    assert actions(released)[-2:] == ["release.restored", "release.undone"]
    assert releases(released)[2].state_reason == "undone by ann: it stutters"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"environment": "nope"},
            "no environment named 'nope' in cd4ml.toml\n  hint: known: staging, production",
        ),
        (
            {"environment": "staging", "model": "nope"},
            "no model named 'nope'\n  hint: known: delay",
        ),
    ],
)
def test_undoing_what_is_not_there_says_what_is(
    released: Project, words: dict[str, str], message: str
) -> None:
    with pytest.raises(NotFound) as refused:
        undo(released, **words, reason="it stutters", actor=ANN)

    assert str(refused.value) == message


def test_the_first_in_an_environment_cannot_be_undone(released: Project) -> None:
    with pytest.raises(Refused) as refused:
        undo(released, environment="production", reason="for fun", actor=MAX)

    assert str(refused.value) == (
        "release/2 was not undone: it is the first in production\n"
        "  hint: release another version instead"
    )
    assert states(released) == ["released", "released"]


def test_a_rollout_can_be_stopped(released: Project) -> None:
    release = second(released)
    rolling = approve(released, release.ref, reason="go", actor=MAX)

    aborted = abort(released, release.ref, reason="changed my mind", actor=ANN)

    assert (rolling.state, aborted.state) == ("rolling_out", "aborted")
    assert states(released) == ["superseded", "released", "released", "aborted"]
    assert aliases(released) == {"delay/1": ("champion",), "delay/2": ()}
    newest = release_details(released, "release/2").plans[-1]
    assert [(arm.ref, arm.weight_percent) for arm in newest.arms] == [("delay/1", 100.0)]
    with pytest.raises(Conflict):
        abort(released, release.ref, reason="again", actor=ANN)


def test_undo_without_anything_in_charge_says_so(project: Project) -> None:
    accept(project)

    with pytest.raises(NotFound) as refused:
        undo(project, environment="production", reason="back", actor=ANN)

    assert str(refused.value) == (
        "nothing is in charge in production, so there is nothing to undo\n"
        "  hint: cd4ml release list"
    )


@pytest.mark.parametrize(
    "act",
    [
        lambda project: approve(project, "release/9", reason="yes", actor=MAX),
        lambda project: reject(project, "release/9", reason="no", actor=MAX),
        lambda project: abort(project, "release/9", reason="no", actor=MAX),
        lambda project: release_details(project, "release/9"),
    ],
)
def test_a_release_that_is_not_there_is_answered_with_those_there_are(
    released: Project, act: Callable[[Project], object]
) -> None:
    with pytest.raises(NotFound) as refused:
        act(released)

    assert str(refused.value) == "no release '9'\n  hint: known: 1, 2"


@pytest.mark.parametrize(
    ("version", "to", "message"),
    [
        ("delay/9", "staging", "no model version 'delay/9'\n  hint: known: delay/1"),
        ("delay", "staging", "expected MODEL/NUMBER, got 'delay'"),
        ("delay/1", "prod", "prod"),
    ],
)
def test_what_is_not_there_cannot_be_released(
    released: Project, version: str, to: str, message: str
) -> None:
    before = actions(released)

    with pytest.raises(Cd4mlError) as refused:
        request(released, version, to=to, actor=ANN)

    assert message in str(refused.value)
    assert actions(released) == before


def test_a_rollout_that_could_not_end_is_not_begun(released: Project) -> None:
    before = actions(released)
    path = released.folder / "cd4ml.toml"
    path.write_text(path.read_text().replace('  { mode = "full" },\n', ""))

    with (
        read_project(released.folder) as endless,  # as the store reads it, without its sense
        pytest.raises(ConfigurationError) as refused,
    ):
        request(endless, "delay/1", to="staging", actor=ANN)

    assert str(refused.value) == (
        "cd4ml.toml: a rollout ends with a full step - at `environments.production.rollout`\n"
        '  hint: end it with { mode = "full" }'
    )
    assert actions(released) == before


def test_gates_that_were_changed_since_the_verdict_stop_release_and_approval(
    released: Project,
) -> None:
    asked = second(released)
    with change(released, "at_least = 0.6", "at_least = 0.61") as stricter:
        with pytest.raises(Refused, match=r"judged under other gates than those that cd4ml\.toml"):
            approve(stricter, asked.ref, reason="fine", actor=MAX)
        reject(stricter, asked.ref, reason="other gates now", actor=MAX)
        with pytest.raises(Refused, match=r"cd4ml gate run/\d+ judges it again") as refused:
            request(stricter, f"delay/{asked.version}", to="production", actor=EVE)
        evaluate(stricter, refused.value.hint.split()[2], actor=EVE)
        again = request(stricter, f"delay/{asked.version}", to="production", actor=EVE)

    assert again.state == "awaiting_approval"
    assert again.decides["policy"] != asked.decides["policy"]
