"""All past candidates by another policy, beside what production showed."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from cd4ml.errors import ConfigurationError, NotFound
from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.replay import replay
from cd4ml.loop.roll_out import roll_out
from cd4ml.loop.train import train
from cd4ml.loop.undo import abort, undo
from cd4ml.loop.watch import watch
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows
from tests.loop.test_roll_out import advance, begin
from tests.loop.world import ANN, DAY, HOUR, MAX, actions, live, move

LOOSE = '[[gate]]\nmetric = "auc"\nat_least = 0.6\n'
STRICT = '[[gate]]\nmetric = "auc"\nat_least = 0.999\n'
COMPARED = '[[gate]]\nmetric = "auc"\nno_worse_than = { "delay/7" = 0.01 }\n'


def policy(folder: Path, text: str) -> Path:
    path = folder / "other.toml"
    path.write_text(text)
    return path


def replayed(project: Project, text: str) -> list[tuple[str, str, str, str]]:
    found = replay(project, policy=policy(project.folder, text))
    return [
        (each.version or each.run, each.then, each.again.outcome, each.shown)
        for each in found.candidates
    ]


@pytest.fixture
def history(released: Project) -> Project:
    """delay/1 is good in production; delay/2 was released and undone; run/3 was refused."""
    live(released, 300, apart=HOUR / 20)
    move(released, DAY)
    watch(released)
    begin(released)
    advance(released, 25, seed=11)
    advance(released, 60, seed=12)
    undo(released, environment="production", reason="complaints", actor=MAX)
    run = train(released, actor=ANN, overrides={"training.upside_down": True}).run
    evaluate(released, run.ref, actor=ANN)
    return released


def test_a_policy_is_set_against_what_production_showed(history: Project) -> None:
    before = actions(history)

    assert replayed(history, LOOSE) == [
        ("delay/1", "pass", "pass", "good"),
        ("delay/2", "pass", "pass", "bad"),
        ("run/3", "fail", "fail", "unknown"),
    ]
    assert replayed(history, STRICT) == [
        ("delay/1", "pass", "fail", "good"),
        ("delay/2", "pass", "fail", "bad"),
        ("run/3", "fail", "fail", "unknown"),
    ]
    loose = replay(history, policy=policy(history.folder, LOOSE))
    strict = replay(history, policy=policy(history.folder, STRICT))
    assert (loose.caught, loose.missed, loose.blocked, loose.kept) == (0, 1, 0, 1)
    assert (loose.precision, loose.recall) == (None, 0.0)
    assert (strict.caught, strict.missed, strict.blocked, strict.kept) == (1, 0, 1, 0)
    assert (strict.precision, strict.recall) == (0.5, 1.0)
    first, second, third = strict.candidates
    assert first.shown_by.startswith("window/production/delay/2013-02-01: auc ")
    assert second.shown_by == "release/4 was undone: undone by max: complaints"
    assert third.shown_by == "never in production"
    assert actions(history) == before


def test_the_own_policy_says_again_what_it_said(history: Project) -> None:
    found = replay(history)

    assert [each.then for each in found.candidates] == [
        each.again.outcome for each in found.candidates
    ]
    with history.database.read() as connection:
        for each in found.candidates:
            verdict = rows.get(connection, Verdict, int(each.verdict.rpartition("/")[2]))
            gated = tuple(finding for finding in verdict.findings if finding.is_gated)
            assert each.again.findings == gated
    assert found.policy == verdict.policy


def test_what_nobody_looked_at_then_is_said(history: Project) -> None:
    found = replay(history, policy=policy(history.folder, LOOSE + COMPARED))

    outcomes = [each.again.outcome for each in found.candidates]
    assert outcomes == ["not looked at", "not looked at", "fail"]
    assert [each.reason for each in found.candidates[0].again.unseen] == [
        "no scores of delay/7 on these rows were kept"
    ]
    assert (found.caught, found.missed, found.blocked, found.kept) == (0, 0, 0, 0)


def test_a_verdict_that_kept_no_evidence_decides_nothing(released: Project) -> None:
    with released.database.write() as connection:
        verdict = rows.get(connection, Verdict, 1)
        rows.replace(connection, msgspec.structs.replace(verdict, evidence={}))

    (each,) = replay(released).candidates

    assert each.again.outcome == "not looked at"
    assert each.again.unseen[0].reason == (
        "not looked at then: verdict/1 names no evidence that could be judged again"
    )


@pytest.mark.parametrize("part", ["rows", "judged"])
@pytest.mark.parametrize("is_gone", [False, True])
def test_evidence_that_is_damaged_is_said_to_be_and_decides_nothing(
    part: str, is_gone: bool, released: Project
) -> None:
    with released.database.read() as connection:
        verdict = rows.get(connection, Verdict, 1)
    path = released.blobs.path(verdict.evidence[part])
    path.chmod(0o644)
    if is_gone:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1] + b"!")

    found = replay(released)

    (each,) = found.candidates
    assert (each.again.outcome, each.again.is_stopped) == ("damaged", False)
    (unseen,) = each.again.unseen
    assert unseen.reason.startswith("the evidence is damaged: ")
    assert verdict.evidence[part] in unseen.reason
    assert (found.caught, found.missed, found.blocked, found.kept) == (0, 0, 0, 0)


def test_a_release_that_a_person_stopped_before_it_answered_is_neither_good_nor_bad(
    released: Project,
) -> None:
    begin(released)
    roll_out(released)
    abort(released, "release/4", reason="not before the holidays", actor=MAX)

    second = replay(released).candidates[1]

    assert (second.version, second.release, second.shown) == ("delay/2", "release/4", "unknown")


def test_a_canary_that_was_aborted_was_bad(released: Project) -> None:
    begin(released)
    advance(released, 25, seed=11)
    abort(released, "release/4", reason="customers complain", actor=MAX)

    second = replay(released).candidates[1]

    assert second.shown == "bad"
    assert second.shown_by == "release/4 was aborted: aborted by max: customers complain"


def test_before_a_window_is_measured_nobody_knows(released: Project) -> None:
    live(released, 3, apart=timedelta(minutes=1))

    (each,) = replay(released).candidates

    assert (each.shown, each.shown_by) == ("unknown", "not measured yet")
    assert replay(released, environment="staging").candidates[0].release == "release/1"


def test_a_whole_settings_file_is_a_policy_too(released: Project) -> None:
    whole = (
        (released.folder / "cd4ml.toml").read_text().replace("at_least = 0.6", "at_least = 0.99")
    )

    (each,) = replay(released, policy=policy(released.folder, whole)).candidates

    assert each.again.outcome == "fail"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "",
            "{path} has no [[gate]]: it would let nothing pass\n  hint: add the gates to be tried",
        ),
        (
            '[[gate]]\nmetric = "auc"\nat_leest = 0.5\n',
            "{path}: object contains unknown field `at_leest` - at `gate[0]`",
        ),
    ],
)
def test_what_is_no_policy_is_refused(released: Project, text: str, message: str) -> None:
    path = policy(released.folder, text)

    with pytest.raises(ConfigurationError) as refused:
        replay(released, policy=path)

    assert str(refused.value).startswith(message.format(path=path))


def test_a_file_or_environment_that_is_not_there_is_said(released: Project) -> None:
    missing = released.folder / "nowhere.toml"

    with pytest.raises(ConfigurationError) as refused:
        replay(released, policy=missing)
    with pytest.raises(NotFound):
        replay(released, environment="moon")

    assert str(refused.value) == (
        f"the policy {missing} cannot be read: No such file or directory\n"
        "  hint: a file with [[gate]] tables"
    )
