"""A row is answered before callers' rows are."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from cd4ml.serving.endpoint import Endpoint, ModelFailed, Version
from cd4ml.serving.warming import warm
from tests.models.builders import boosted, logistic, packaged
from tests.serving.builders import arm
from tests.serving.test_endpoint import endpoint


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Endpoint:
    """A champion, a canary and a shadow."""
    old, new = (
        packaged(tmp_path_factory.mktemp("model"), model) for model in (boosted(), logistic())
    )
    return endpoint(
        [old, new],
        arm(old.artifact, weight=90),
        arm(new.artifact, "canary", number=2, weight=10),
        arm(new.artifact, "shadow", number=3, weight=0),
    )


def noted(version: Version, calls: list[Any]) -> Version:
    def score(values: Sequence[tuple[Any, ...]]) -> list[float]:
        calls.append((version.arm.role, list(values)))
        return version.score(values)

    return msgspec.structs.replace(version, score=score)


def broken(version: Version) -> Version:
    def score(values: Sequence[tuple[Any, ...]]) -> list[float]:
        raise ArithmeticError("it is cold")

    return msgspec.structs.replace(version, score=score)


def test_every_version_answers_the_row_it_was_packaged_with(given: Endpoint) -> None:
    calls: list[Any] = []
    assert given.canary is not None
    watched = dataclasses.replace(
        given,
        champion=noted(given.champion, calls),
        canary=noted(given.canary, calls),
        shadows=(noted(given.shadows[0], calls),),
    )

    warm(watched)

    assert {role for role, _ in calls} == {"champion", "canary", "shadow"}
    names = given.contract.contract.names
    expected = tuple(given.example[name] for name in names)
    assert all(values == [expected] for _, values in calls)


def test_a_champion_that_fails_on_it_takes_no_traffic(given: Endpoint) -> None:
    with pytest.raises(ModelFailed, match="delay/1 failed on a request that keeps its contract"):
        warm(dataclasses.replace(given, champion=broken(given.champion)))


def test_other_versions_may_fail_on_it_for_callers_are_answered(given: Endpoint) -> None:
    assert given.canary is not None

    warm(dataclasses.replace(given, canary=broken(given.canary), shadows=()))


def test_a_row_that_the_contract_refuses_today_warms_nothing(
    given: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        warm(dataclasses.replace(given, example=given.example | {"hour": 99}))

    assert caplog.messages == [
        "delay/1 could not be warmed: the request does not keep the contract 'delay': 1 violation"
    ]
