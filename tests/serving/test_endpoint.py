"""Who answers a row under a plan, and what happens when a version fails."""

from pathlib import Path
from typing import Any

import pytest
from msgspec import convert

from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, Field
from cd4ml.records.plan import Arm, Plan
from cd4ml.serving.endpoint import Endpoint, ModelFailed, build
from tests.models.builders import AT, ROW, Packaged, boosted, fragile, logistic, packaged
from tests.serving.builders import arm

BREAKING = ROW | {"wind": 99.5}


def endpoint(models: list[Packaged], *arms: Arm) -> Endpoint:
    plan = Plan(number=1, environment="production", model="delay", arms=arms, release=1, made_at=AT)
    return build(plan, {model.artifact: model.load() for model in models})


def rows(given: Endpoint, *contents: dict[str, Any]) -> list[Any]:
    return convert(list(contents), list[given.contract.row])  # type: ignore[name-defined]


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return packaged(tmp_path_factory.mktemp("good"), boosted())


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return packaged(tmp_path_factory.mktemp("weak"), fragile())


def test_the_champion_answers_alone(good: Packaged) -> None:
    given = endpoint([good], arm(good.artifact))

    ((answer,),) = given.answers(rows(given, ROW), ["any"])

    assert answer.version is given.champion
    assert answer.score == good.load().score([ROW])[0]


def test_the_canary_answers_its_keys_and_no_others(good: Packaged, tmp_path: Path) -> None:
    new = packaged(tmp_path, logistic())
    given = endpoint(
        [good, new],
        arm(good.artifact, weight=70),
        arm(new.artifact, "canary", number=2, weight=30),
    )
    expected = {"champion": good.load().score([ROW])[0], "canary": new.load().score([ROW])[0]}

    keys = [f"customer-{i}" for i in range(1000)]
    answers = given.answers(rows(given, *[ROW] * 1000), keys)
    by = [one[-1].version.arm.role for one in answers]

    assert all(len(one) == 1 for one in answers)
    assert all(
        one[0].score == pytest.approx(expected[role], abs=1e-7)
        for one, role in zip(answers, by, strict=True)
    )
    assert 240 < by.count("canary") < 360
    assert by == [
        one[-1].version.arm.role for one in given.answers(rows(given, *[ROW] * 1000), keys)
    ]


def test_where_the_canary_fails_the_champion_answers(good: Packaged, weak: Packaged) -> None:
    given = endpoint(
        [good, weak], arm(good.artifact, weight=0), arm(weak.artifact, "canary", number=2)
    )

    fine, broken = given.answers(rows(given, ROW, BREAKING), ["a", "b"])

    assert [answer.version.arm.role for answer in fine] == ["canary"]
    assert [answer.version.arm.role for answer in broken] == ["canary", "champion"]
    assert broken[0].score is None
    assert broken[1].score == good.load().score([BREAKING])[0]


def test_where_the_champion_fails_nothing_is_answered(weak: Packaged) -> None:
    given = endpoint([weak], arm(weak.artifact))

    with pytest.raises(ModelFailed) as failure:
        given.answers(rows(given, ROW, BREAKING), ["a", "b"])

    assert str(failure.value) == (
        "the model delay/1 failed on a request that keeps its contract\n"
        "  hint: nothing was answered; the server's log has the reason"
    )


def test_versions_that_need_more_than_requests_carry_are_refused(
    good: Packaged, tmp_path: Path
) -> None:
    from tests.models.builders import CONTRACT

    wider = Contract(name="wider", fields=(*CONTRACT.fields, Field("dest2", "string")))
    plan = Plan(
        number=1,
        environment="production",
        model="delay",
        arms=(arm(good.artifact, weight=50), arm("blake3:new", "canary", weight=50)),
        release=1,
        made_at=AT,
    )
    old = good.load()
    new = packaged(tmp_path, logistic()).load()
    new.contract = wider

    with pytest.raises(InvalidInput) as refusal:
        build(plan, {good.artifact: old, "blake3:new": new})

    assert str(refusal.value) == (
        "requests of the contract 'delay' lack dest2\n"
        "  hint: the versions of one plan must take the same requests"
    )


def test_a_log_shows_no_value_of_a_masked_field(
    weak: Packaged, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = endpoint([weak], arm(weak.artifact))

    def log_of(hidden: set[str]) -> str:
        monkeypatch.setattr("cd4ml.store.masking._HIDDEN", hidden)
        caplog.clear()
        with pytest.raises(ModelFailed):
            given.answers(rows(given, BREAKING), ["any"])
        return caplog.text

    shown, masked = log_of(set()), log_of({"wind", "unknown"})

    assert '"wind":99.5' in shown
    assert '"wind":"***"' in masked
    assert "99.5" not in masked
    assert "what it says is not shown, it may quote the row" in masked
    assert f'"hour":{ROW["hour"]}' in masked
    assert "Traceback" in shown
    assert 'File "' in masked
