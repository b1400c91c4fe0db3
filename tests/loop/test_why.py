"""One question from anything to what stands behind it."""

import re
import shutil

import pytest

from cd4ml.errors import Cd4mlError, InvalidInput, NotFound, Unavailable
from cd4ml.loop import Project
from cd4ml.loop.graduate import graduate
from cd4ml.loop.promote import approve
from cd4ml.loop.releases import releases
from cd4ml.loop.retrain import ask
from cd4ml.loop.train import train
from cd4ml.loop.watch import collect
from cd4ml.loop.why import Explanation, named_in, why
from cd4ml.loop.work import work
from cd4ml.models import registry
from cd4ml.models.prediction_id import make
from cd4ml.store.log import PredictionLog
from tests.loop.test_retrain import stand_in
from tests.loop.test_roll_out import begin
from tests.loop.world import ANN, EVE, HOUR, MAX, live


def topics(explanation: Explanation) -> list[str]:
    return list(dict.fromkeys(topic for topic, _ in explanation.sentences))


def said(explanation: Explanation, topic: str) -> list[str]:
    return [text for about, text in explanation.sentences if about == topic]


def test_a_version_that_was_not_judged_says_so(project: Project) -> None:
    version = graduate(project, train(project, actor=ANN).run.ref, actor=ANN)

    explanation = why(project, version.ref)

    assert said(explanation, "verdict") == ["not judged yet"]
    assert said(explanation, "run")[0].startswith("run/1 finished")


def test_a_version_without_a_run_says_where_it_came_from(project: Project) -> None:
    with project.database.write() as connection:
        at = project.clock.now()
        for source in ("s3://lab/model", ""):
            registry.add_version(connection, "lab", source=source, by=ANN, at=at)

    assert said(why(project, "lab/1"), "run") == ["none of this project: s3://lab/model"]
    assert said(why(project, "lab/2"), "run") == ["none of this project: nobody says where"]
    assert said(why(project, "lab/1"), "model version") == [
        f"lab/1, not packaged yet, added {at:%Y-%m-%d %H:%M} by ann"
    ]


def test_a_prediction_leads_to_the_rows_the_code_and_the_people(released: Project) -> None:
    (prediction, _) = live(released, 2)
    collect(released)

    explanation = why(released, prediction)

    assert explanation.subject == prediction
    assert topics(explanation) == [
        "prediction",
        "request",
        "truth",
        "model version",
        "release",
        "approval",
        "verdict",
        "finding",
        "run",
        "code",
        "environment",
        "parameters",
        "metrics",
        "data",
    ]
    (answer,) = said(explanation, "prediction")
    assert re.fullmatch(
        r"0\.\d{4} at 2013-02-01 01:00:00 UTC, by delay/1 as champion of plan/2 in production",
        answer,
    )
    (truth,) = said(explanation, "truth")
    assert re.fullmatch(r"[01], as eve said of 2013-02-01 03:00 UTC", truth)
    (approval,) = said(explanation, "approval")
    assert approval.startswith("approved by max at 2013-02-01 00:00 for content ")
    assert approval.endswith(": looks good")
    (release,) = said(explanation, "release")  # that to staging did not answer it
    assert release.startswith("release/2 of delay/1 to production, released: the first (requested")
    assert said(explanation, "data")[0].startswith("flights@1: 600 rows from data/flights.csv, ")
    assert said(explanation, "data")[1] == "labelled@empty: production had shown nothing yet"
    assert said(explanation, "parameters") == ["delay.strength=1.0, training.upside_down=False"]


def test_a_prediction_of_a_moment_ago_is_collected_first(released: Project) -> None:
    (prediction,) = live(released, 1, n_labelled=0)

    explanation = why(released, prediction)

    assert said(explanation, "truth") == ["not known yet"]


def test_a_prediction_s_id_may_be_typed_in_capitals(released: Project) -> None:
    (prediction,) = live(released, 1, n_labelled=0)

    assert why(released, prediction.upper()) == why(released, prediction)


def test_a_prediction_says_what_the_shadow_thought(released: Project) -> None:
    begin(released)
    (prediction,) = live(released, 1)

    (shadow,) = said(why(released, prediction), "shadow")

    assert "by delay/2 as shadow of plan/" in shadow


def test_a_standing_approval_is_named_with_who_gave_it(released: Project) -> None:
    stand_in(released)
    live(released, 30)
    work(released, owner="worker")

    (approval,) = said(why(released, "delay/2"), "approval")

    assert approval.startswith("approved by max at ")
    assert "covered by standing-approval/1 until 2013-03-03" in approval
    assert approval.endswith(
        "(a standing approval, 2013-02-01 until 2013-03-03: it has been right)"
    )


@pytest.mark.parametrize(
    ("ref", "first", "topic"),
    [
        ("delay/1", "model version", "data"),
        ("run/1", "run", "data"),
        ("verdict/1", "verdict", "run"),
        ("release/2", "release", "approval"),
        ("plan/2", "plan", "approval"),
        ("flights@1", "data", "used by"),
    ],
)
def test_everything_with_a_name_is_explained(
    released: Project, ref: str, first: str, topic: str
) -> None:
    explanation = why(released, ref)

    assert topics(explanation)[0] == first
    assert topic in topics(explanation)
    assert said(explanation, first)[0].startswith(ref)


def test_a_dataset_is_explained_by_who_used_it(released: Project) -> None:
    used = said(why(released, "flights@1"), "used by")

    assert {"run/1", "delay of run/1", "delay/1", "release/2"} <= set(used)
    assert len(used) == len(set(used))


@pytest.mark.parametrize(
    ("ref", "error", "message"),
    [
        ("run/9", NotFound, "no run '9'\n  hint: known: 1"),
        ("release/9", NotFound, "no release '9'\n  hint: known: 1, 2"),
        ("verdict/9", NotFound, "no verdict '9'\n  hint: known: 1"),
        ("delay/9", NotFound, "no model version 'delay/9'\n  hint: known: delay/1"),
        ("fares@1", NotFound, "no dataset version 'fares@1'\n  hint: known: flights@1"),
        ("run/x", InvalidInput, "expected run/NUMBER, got 'run/x'\n  hint: for example run/1"),
        ("flights@", InvalidInput, "expected NAME@NUMBER, got 'flights@'"),
        ("@1", InvalidInput, "expected NAME@NUMBER, got '@1'"),
        ("/1", InvalidInput, "expected MODEL/NUMBER, got '/1'"),
        (f"delay/{'9' * 30}", InvalidInput, "expected MODEL/NUMBER, got 'delay/999"),
        (
            "yesterday",
            InvalidInput,
            "expected a prediction id, or a name like delay/1, run/3 or flights@1,"
            " got 'yesterday'\n  hint: a prediction id has 32 hex digits",
        ),
        (
            "013c94000000000002000001aabbccdd",
            NotFound,
            "no prediction '013c94000000000002000001aabbccdd' in the log\n"
            "  hint: was it answered by this project?",
        ),
        ("f" * 32, InvalidInput, ""),
    ],
)
def test_what_is_not_there_is_said(
    released: Project, ref: str, error: type[Cd4mlError], message: str
) -> None:
    with pytest.raises(error) as refused:
        why(released, ref)

    assert str(refused.value).startswith(message)


def test_a_retraining_leads_from_the_version_to_what_production_showed(released: Project) -> None:
    live(released, 30)
    ask(released, reason="new winds", actor=EVE)
    work(released, owner="worker")

    explanation = why(released, "delay/2")

    assert any(
        text.startswith("labelled@1: 29 rows from production") or "labelled@1: 30 rows" in text
        for text in said(explanation, "data")
    )
    assert "retrained by job/" in said(explanation, "release")[0]
    assert releases(released)[-1].is_retrained


@pytest.fixture
def retrained(released: Project) -> Project:
    """delay/2 has learned from what delay/1 answered, and answers in its shadow."""
    live(released, 30)
    ask(released, reason="new winds", actor=EVE)
    work(released, owner="worker")
    begin_version(released)
    work(released, owner="worker")
    live(released, 5, seed=3)
    collect(released)
    return released


def test_data_lead_forward_to_the_live_predictions_of_every_version_that_learned_from_them(
    retrained: Project,
) -> None:
    explanation = why(retrained, "flights@1")
    further = why(retrained, "labelled@1")

    assert [(each.version, each.role) for each in explanation.touched] == [
        ("delay/1", "champion"),
        ("delay/2", "shadow"),
    ]
    assert explanation.n_predictions == 35
    assert said(explanation, "live predictions") == ["35, by 2 versions"]
    assert said(explanation, "answered") == [
        "delay/1: 35 answers as champion in production, 2013-02-01 01:00 to 2013-02-02 13:00",
        "delay/2: 5 answers as shadow in production, 2013-02-02 08:00 to 2013-02-02 13:00",
    ]
    assert [each.version for each in further.touched] == ["delay/2"]
    assert further.n_predictions == 0  # its answers were shown to nobody


def test_a_version_that_learned_from_what_another_one_answered_is_not_made_from_it(
    retrained: Project,
) -> None:
    assert [each.version for each in why(retrained, "delay/1").touched] == ["delay/1"]
    assert [each.version for each in why(retrained, "run/1").touched] == ["delay/1"]
    assert why(retrained, "release/2").touched == ()


def begin_version(project: Project) -> None:
    """Let the newest version begin its way into production, in the shadow of delay/1."""
    (waiting,) = [
        release
        for release in releases(project)
        if release.environment == "production" and release.state == "awaiting_approval"
    ]
    approve(project, waiting.ref, reason="as good as before", actor=MAX)


def test_a_retrained_version_says_who_asked_for_it(released: Project) -> None:
    live(released, 30)
    ask(released, reason="new winds", actor=EVE)
    work(released, owner="worker")

    explanation = why(released, "delay/2")

    assert said(explanation, "asked by") == ["job/1", "trigger/1"]
    assert said(explanation, "live predictions") == []


def test_an_id_names_the_plan_and_so_the_version_without_the_log(
    released: Project,
) -> None:
    (prediction,) = live(released, 1)
    work(released, owner="worker")
    shutil.rmtree(released.folder / ".cd4ml" / "blobs")

    named = named_in(released, prediction)

    assert named.at == released.clock.now() - HOUR
    assert (named.plan.ref, [arm.ref for arm in named.versions]) == ("plan/2", ["delay/1"])


def test_while_the_log_cannot_be_read_a_prediction_is_explained_by_its_plan(
    released: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    (prediction,) = live(released, 1)
    message = "the blob store does not answer"

    def away(log: PredictionLog, prediction_id: str) -> None:
        raise Unavailable(message)

    monkeypatch.setattr(PredictionLog, "prediction", away)

    explanation = why(released, prediction)

    assert said(explanation, "prediction") == [
        "asked at 2013-02-01 01:00:00 UTC under plan/2, so answered by delay/1"
    ]
    assert said(explanation, "request") == ["cannot be read now: the blob store does not answer"]
    assert said(explanation, "approval")[0].startswith("approved by max at ")


def test_an_id_under_a_plan_that_never_was_is_refused_without_reading_the_log(
    released: Project,
) -> None:
    forged = make(released.clock.now(), plan=77, worker=1, sequence=1)
    with pytest.raises(NotFound) as refused:
        named_in(released, forged)

    assert str(refused.value) == (
        f"no prediction {forged!r} in the log\n  hint: was it answered by this project?"
    )
