"""Gates on what a candidate does when it is served, judged from what was written down."""

from typing import Any

import msgspec
import numpy as np
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.records.behaviour import BehaviourEvidence, Load, Promise, Quantile, Response
from cd4ml.records.behaviour_gate import BehaviourGate
from cd4ml.records.finding import Finding

ROW = 'for {"ram": 4}'
SOUND = Promise(name="the order of rows does not matter", n_tried=200)
RAM = Response(
    field="ram",
    is_ordered=True,
    n_rows=25,
    n_values=4,
    largest_change=300.0,
    largest_rise=300.0,
    largest_fall=12.0,
    change_example=f"ram 2 gives 900, 16 gives 1200, {ROW}",
    rise_example=f"ram 2 gives 900, 16 gives 1200, {ROW}",
    fall_example=f"ram 4 gives 912, 8 gives 900, {ROW}",
)
BRAND = Response(field="brand", is_ordered=False, n_rows=25, n_values=3)
LOAD = Load(
    n_requests=500,
    seconds=1.0,
    p50_ms=Quantile(value=0.4, low=0.3, high=0.5),
    p99_ms=Quantile(value=8.0, low=6.0, high=11.0),
    memory_mb=120.0,
)
SEEN = BehaviourEvidence(
    artifact="blake3:aa",
    runtime="onnx",
    source="holdout",
    n_rows=200,
    scale=1200.0,
    promises=(SOUND,),
    responses=(RAM, BRAND),
    load=LOAD,
)


def findings(gate: BehaviourGate | None = None, **changes: Any) -> dict[str, Finding]:
    """What a gate finds in evidence like the above, by what was asked."""
    seen = msgspec.structs.replace(SEEN, **changes)
    evidence = Evidence(
        y_true=np.zeros(0), score=np.zeros(0), base_rate=0.0, gathered={"behaviour": seen}
    )
    return {each.gate: each for each in judge((gate or BehaviourGate(),), evidence)}


def refusal(**gate: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        policy_of((BehaviourGate(**gate),))
    return str(caught.value)


def test_a_promise_that_was_kept_passes() -> None:
    found = findings()["the order of rows does not matter"]

    assert (found.outcome, found.value, found.n_rows) == ("pass", 0, 200)


def test_a_broken_promise_fails_with_its_worst_case() -> None:
    broken = msgspec.structs.replace(SOUND, n_broken=3, example=f"1 and 2 {ROW}")

    found = findings(promises=(broken,))[SOUND.name]

    assert (found.outcome, found.value, found.limit) == ("fail", 3, 0)
    assert found.reason == f"3 of 200: 1 and 2 {ROW}"
    assert found.without_example.reason == "3 of 200"


def test_a_promise_that_could_not_be_tried_is_an_error() -> None:
    untried = Promise(name="null is answered or refused", reason="the process had ended")

    found = findings(promises=(untried,))[untried.name]

    assert (found.outcome, found.reason) == ("error", "the process had ended")


def test_a_promise_about_what_there_is_none_of_is_not_asked() -> None:
    assert findings(promises=(SOUND, Promise(name="no texts"))).keys() == {SOUND.name}


def test_rules_are_held_against_the_responses() -> None:
    rules = BehaviourGate(increasing=("ram",), invariant=("brand",))

    found = findings(rules)

    assert found["invariant to brand"].outcome == "pass"
    fall = found["increasing in ram"]
    assert (fall.outcome, fall.metric, fall.value) == ("fail", "fall of the answer", 12.0)
    assert fall.limit == pytest.approx(0.012)  # what rounding does to 1200
    assert fall.reason == RAM.fall_example


def test_a_tolerance_lets_a_rule_pass() -> None:
    rules = BehaviourGate(increasing=("ram",), tolerance=12.0)

    assert findings(rules)["increasing in ram"].outcome == "pass"


def test_a_rule_against_the_way_it_goes_fails() -> None:
    found = findings(BehaviourGate(decreasing=("ram",)))["decreasing in ram"]

    assert (found.outcome, found.value) == ("fail", 300.0)


@pytest.mark.parametrize(
    ("rule", "asked", "reason"),
    [
        ({"increasing": ("disk",)}, "increasing in disk", "requests have no field 'disk'"),
        (
            {"decreasing": ("brand",)},
            "decreasing in brand",
            "'brand' holds texts, which have no order",
        ),
    ],
)
def test_a_rule_that_cannot_be_tried_is_an_error(rule: Any, asked: str, reason: str) -> None:
    found = findings(BehaviourGate(**rule))[asked]

    assert (found.outcome, found.value, found.reason) == ("error", None, reason)


def test_a_field_that_is_the_same_in_all_rows_decides_nothing() -> None:
    alike = Response(field="ram", is_ordered=True)

    found = findings(BehaviourGate(increasing=("ram",)), responses=(alike,))["increasing in ram"]

    assert found.outcome == "inconclusive"
    assert found.reason == "all rows have the same ram: nothing to compare"


@pytest.mark.parametrize(
    ("limit", "outcome", "reason"),
    [
        (20.0, "pass", ""),
        (9.0, "pass", "its interval lies on both sides of the limit"),
        (7.0, "fail", "its interval lies on both sides of the limit"),
        (5.0, "fail", ""),
    ],
)
def test_latency_is_held_against_its_budget(limit: float, outcome: str, reason: str) -> None:
    found = findings(BehaviourGate(latency_p99_ms=limit))[f"p99 latency at most {limit:g} ms"]

    assert (found.value, found.low, found.high) == (8.0, 6.0, 11.0)
    assert (found.outcome, found.reason) == (outcome, reason)


def test_too_few_requests_for_an_upper_end_are_pointed_out() -> None:
    few = msgspec.structs.replace(LOAD, p99_ms=Quantile(value=8.0, low=6.0))

    found = findings(BehaviourGate(latency_p99_ms=9.0), load=few)["p99 latency at most 9 ms"]

    assert (found.outcome, found.reason) == ("pass", "too few requests to say how high it may be")


@pytest.mark.parametrize(("limit", "outcome"), [(120.0, "pass"), (119.0, "fail")])
def test_memory_is_held_against_its_budget(limit: float, outcome: str) -> None:
    found = findings(BehaviourGate(memory_mb=limit))[f"memory at most {limit:g} MB"]

    assert (found.value, found.outcome) == (120.0, outcome)


def test_a_budget_of_what_was_not_measured_is_an_error() -> None:
    gate = BehaviourGate(latency_p99_ms=5.0, memory_mb=100.0)
    unknown = msgspec.structs.replace(LOAD, memory_mb=None)

    assert findings(gate, load=None)["p99 latency at most 5 ms"].reason == "no load was tried"
    assert findings(gate, load=unknown)["memory at most 100 MB"].outcome == "error"


def test_without_evidence_the_gate_is_an_error() -> None:
    evidence = Evidence(y_true=np.zeros(0), score=np.zeros(0), base_rate=0.0)

    (found,) = judge((BehaviourGate(),), evidence)

    assert found.outcome == "error"
    assert found.reason


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            {"increasing": ("ram",), "decreasing": ("ram",)},
            "'ram' stands under increasing and decreasing - at `gate[0].increasing`\n"
            "  hint: a field has one rule",
        ),
        (
            {"invariant": ("a", "a")},
            "'a' stands under invariant twice - at `gate[0].invariant`\n"
            "  hint: a field has one rule",
        ),
        ({"invariant": (" ",)}, "a rule names a field, got '' - at `gate[0].invariant`"),
        ({"tolerance": -1.0}, "a tolerance is 0 or more, got -1 - at `gate[0].tolerance`"),
        (
            {"latency_p99_ms": 0.0},
            "a limit is a finite number above 0, got 0 - at `gate[0].latency_p99_ms`",
        ),
        (
            {"memory_mb": float("inf")},
            "a limit is a finite number above 0, got inf - at `gate[0].memory_mb`",
        ),
        ({"rows": 0}, "expected 1 to 10,000, got 0 - at `gate[0].rows`"),
        ({"requests": 5}, "expected 100 to 100,000, got 5 - at `gate[0].requests`"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(gate: Any, message: str) -> None:
    assert refusal(**gate) == f"cd4ml.toml: {message}"
