"""What arrives in one turn of the event loop is scored together, and fails apart."""

from typing import Any, NamedTuple

import pytest
from msgspec import convert

from cd4ml.records.plan import Plan
from cd4ml.serving.answers import Answers
from cd4ml.serving.endpoint import Endpoint, ModelFailed, Version, build
from cd4ml.serving.together import answers_to
from tests.models.builders import AT, ROW, Packaged, boosted, fragile, packaged
from tests.serving.builders import arm

CALM, WINDY, BREAKING = (ROW | {"wind": wind} for wind in (1.0, 30.0, 99.5))

Given = Answers | Exception


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return packaged(tmp_path_factory.mktemp("good"), boosted())


@pytest.fixture(scope="module")
def weak(tmp_path_factory: pytest.TempPathFactory) -> Packaged:
    return packaged(tmp_path_factory.mktemp("weak"), fragile())


class Counting:
    """An endpoint, and how many rows each call of its model had."""

    def __init__(self, model: Packaged) -> None:
        self.calls: list[int] = []
        plan = Plan(
            number=1,
            environment="production",
            model="delay",
            arms=(arm(model.artifact),),
            release=1,
            made_at=AT,
        )
        built = build(plan, {model.artifact: model.load()})
        score = built.champion.score

        def counted(values: Any) -> list[float]:
            self.calls.append(len(values))
            return score(values)

        version = Version(built.champion.arm, built.champion.values, counted)
        self.endpoint = Endpoint(
            built.plan, built.contract, built.reader, version, None, (), {}, built.runtimes
        )

    def rows(self, *contents: dict[str, Any]) -> list[Any]:
        return convert(list(contents), list[self.endpoint.contract.row])  # type: ignore[name-defined]


class Request(NamedTuple):
    """Rows that keep the contract of the endpoint that they took."""

    endpoint: Endpoint
    rows: list[Any]
    keys: list[str]


def ask(*asked: tuple[Counting, list[dict[str, Any]]]) -> list[Given]:
    return answers_to(
        [Request(to.endpoint, to.rows(*rows), ["key"] * len(rows)) for to, rows in asked]
    )


def scores(given: Given) -> list[float | None]:
    assert isinstance(given, Answers)
    return [answers[-1].score for answers in given]


def test_requests_of_one_turn_are_one_call_with_the_answers_of_single_ones(good: Packaged) -> None:
    endpoint = Counting(good)

    given = ask((endpoint, [CALM]), (endpoint, [WINDY, CALM]), (endpoint, [ROW]))

    calm, windy, usual = (good.load().score([row])[0] for row in (CALM, WINDY, ROW))
    assert [scores(each) for each in given] == [[calm], [windy, calm], [usual]]
    assert endpoint.calls == [4]


def test_a_large_request_is_a_call_of_its_own(good: Packaged) -> None:
    endpoint = Counting(good)

    ask((endpoint, [ROW]), (endpoint, [ROW] * 65), (endpoint, [CALM]))

    assert endpoint.calls == [65, 2]


def test_each_request_is_answered_by_the_endpoint_it_took(good: Packaged, weak: Packaged) -> None:
    before, after = Counting(good), Counting(weak)

    given = ask((before, [ROW]), (after, [ROW]), (before, [CALM]))

    assert scores(given[0]) == good.load().score([ROW])
    assert scores(given[1]) == pytest.approx(weak.load().score([ROW]))
    assert (before.calls, after.calls) == ([2], [1])


@pytest.mark.parametrize("wind", [99.5, 99.75])
def test_a_row_that_the_model_fails_on_fails_its_own_request_only(
    weak: Packaged, wind: float
) -> None:
    endpoint, breaking = Counting(weak), BREAKING | {"wind": wind}

    first, second, third = ask((endpoint, [CALM]), (endpoint, [breaking]), (endpoint, [WINDY]))

    assert isinstance(second, ModelFailed)
    assert scores(first) == pytest.approx(weak.load().score([CALM]))
    assert scores(third) == pytest.approx(weak.load().score([WINDY]))
