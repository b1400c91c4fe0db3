"""A model says whether others may wait for it."""

import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.models.pace import SLOW_S, Pace
from cd4ml.models.runtime import Runtime
from cd4ml.records.plan import Plan
from cd4ml.serving.endpoint import build
from tests.models.builders import AT, CONTRACT, ROW, bitset_boosted, boosted, packaged
from tests.serving.builders import arm

pytestmark = pytest.mark.alone  # a call that waits for a core is a slow one

FAILS_S = 0.0625


class Waits:
    """A scorer that takes as long as a row's wind says."""

    def score(self, values: Any) -> list[float]:
        seconds = max(row[4] for row in values)
        time.sleep(seconds)
        if seconds == FAILS_S:
            raise ValueError("no answer")
        return [0.5] * len(values)

    def score_frame(self, frame: Any) -> Any:
        raise NotImplementedError


def waiting(kind: Any = "native") -> Runtime:
    scorer: Any = Waits()
    return Runtime(scorer, artifact="blake3:0", contract=CONTRACT, kind=kind, example=ROW)


@given(st.lists(st.sampled_from([0.0, SLOW_S, 2 * SLOW_S]), max_size=300))
def test_a_model_is_quick_unless_one_of_its_last_hundred_calls_was_slow(took: list[float]) -> None:
    pace = Pace()
    for seconds in took:
        pace.took(seconds)

    assert pace.is_quick == all(seconds <= SLOW_S for seconds in took[-100:])


def test_a_native_model_that_was_slow_once_is_not_quick_for_a_while() -> None:
    runtime = waiting()
    assert runtime.is_quick
    runtime.score([ROW | {"wind": 0.06}])
    assert not runtime.is_quick

    for _ in range(100):
        runtime.score([ROW | {"wind": 0.0}])

    assert runtime.is_quick


def test_a_call_that_fails_in_the_end_was_slow_too() -> None:
    runtime = waiting()

    with pytest.raises(ValueError, match="no answer"):
        runtime.score([ROW | {"wind": FAILS_S}])

    assert not runtime.is_quick


def test_what_a_compiled_model_takes_is_known_from_when_it_was_loaded(tmp_path: Path) -> None:
    runtime = packaged(tmp_path, boosted()).load()

    assert runtime.kind == "onnx"
    assert runtime.is_quick
    runtime.pace.begin(0.2)
    runtime.score([ROW])
    assert not runtime.is_quick


def test_an_endpoint_is_quick_if_all_that_answer_are(tmp_path: Path) -> None:
    champion, canary = (
        packaged(tmp_path / name, make()).load()
        for name, make in (("a", boosted), ("b", bitset_boosted))
    )
    plan = Plan(
        number=1,
        environment="production",
        model="delay",
        arms=(arm(champion.artifact, weight=50), arm(canary.artifact, "canary", weight=50)),
        release=1,
        made_at=AT,
    )
    endpoint = build(plan, {each.artifact: each for each in (champion, canary)})

    assert endpoint.is_quick
    canary.pace.begin(0.2)
    assert not endpoint.is_quick
    canary.pace.begin(0.001)
    champion.pace.begin(0.2)
    assert not endpoint.is_quick
