"""What a model is asked in production is what it learned from, or the gate says what is not."""

import msgspec
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.records.finding import Finding
from cd4ml.records.skew_gate import (
    AskedAgain,
    MadeAgain,
    ServedColumn,
    SkewEvidence,
    SkewGate,
)
from tests.gates.builders import evidence

WIND = ServedColumn(
    column="wind",
    n_served=300,
    missing_training=0.1,
    n_missing=33,
    n_unseen=2,
    training=(500, 500, 0),
    served=(150, 150, 0),
)
SEEN = SkewEvidence(
    environment="production",
    n_requests=300,
    columns=(WIND,),
    answers=(AskedAgain(version="delay/1", n_answers=300, differences=(2e-7, 1e-8)),),
)


def found(gate: SkewGate, **changes: object) -> dict[str, Finding]:
    seen = msgspec.structs.replace(SEEN, **changes)
    findings = judge((gate,), evidence(n=20, gathered={"skew": seen}))
    return {finding.gate: finding for finding in findings}


def column(**changes: object) -> tuple[ServedColumn, ...]:
    return (msgspec.structs.replace(WIND, **changes),)


def test_requests_as_in_training_pass() -> None:
    seen = found(SkewGate())

    assert {name: f.outcome for name, f in seen.items()} == {
        "types of requests as in training": "pass",
        "answers asked again within 1e-05 (delay/1)": "pass",
        "values of requests as in training": "pass",
    }
    assert seen["answers asked again within 1e-05 (delay/1)"].value == 2e-7


def test_before_the_first_request_there_is_nothing_to_differ() -> None:
    (finding,) = found(SkewGate(), n_requests=0).values()

    assert (finding.outcome, finding.reason) == (
        "pass",
        "no request has been captured yet in production",
    )


def test_requests_of_other_types_fail() -> None:
    finding = found(SkewGate(), n_misfit=3, misfit="3 of 300 requests do not fit")[
        "types of requests as in training"
    ]

    assert (finding.outcome, finding.reason) == ("fail", "3 of 300 requests do not fit")


def test_answers_that_the_estimator_does_not_give_fail() -> None:
    other = AskedAgain(version="delay/1", n_answers=300, differences=(0.2, 0.1, 1e-9))
    many = AskedAgain(version="delay/2", n_answers=300, differences=(0.2,) * 100)
    gone = AskedAgain(version="delay/3", n_answers=9, problem="the estimator is not trusted")
    nan = AskedAgain(version="delay/4", n_answers=9, n_undefined=9)

    seen = found(SkewGate(), answers=(other, many, gone, nan))

    undefined = seen["answers asked again within 1e-05 (delay/4)"]
    assert (undefined.outcome, undefined.value) == ("fail", None)

    assert seen["answers asked again within 1e-05 (delay/1)"].reason == (
        "2 of 300 answers on record are not those of the fitted estimator"
    )
    assert seen["answers asked again within 1e-05 (delay/2)"].reason.startswith("at least 100 of")
    assert seen["answers asked again within 1e-05 (delay/3)"].outcome == "error"


def test_unseen_and_missing_values_fail_when_they_are_surely_too_many() -> None:
    unseen = found(SkewGate(), columns=column(n_unseen=60))
    missing = found(SkewGate(), columns=column(n_missing=90))
    few = found(SkewGate(), columns=column(n_served=10, n_missing=1, n_unseen=1))

    assert unseen["unseen values at most 0.05 (wind)"].outcome == "fail"
    assert missing["missing values at most 0.15 (wind)"].outcome == "fail"
    undecided = few["unseen values at most 0.05 (wind)"]
    assert (undecided.outcome, undecided.reason) == (
        "inconclusive",
        "more requests could change this",
    )


def test_a_column_may_differ_by_name_and_with_a_reason() -> None:
    gate = SkewGate(allow={"wind": "a new sensor"})

    seen = found(gate, columns=column(n_unseen=60))

    shown = seen["unseen values at most 0.05 (wind)"]
    assert (shown.outcome, shown.is_gated, shown.reason) == ("fail", False, "allowed: a new sensor")
    assert seen["values of requests as in training"].outcome == "pass"


def test_a_moved_column_is_judged_only_where_that_is_asked() -> None:
    moved = column(served=(30, 270, 0))

    assert "psi at most 0.2 (wind)" not in found(SkewGate(), columns=moved)
    assert found(SkewGate(moved_at_most=0.2), columns=moved)["psi at most 0.2 (wind)"].outcome == (
        "fail"
    )


def test_columns_that_a_step_makes_are_compared() -> None:
    gate = SkewGate(step="features", takes="rides")
    made = (
        MadeAgain(step="features", column="hour", n_rows=300, n_different=0),
        MadeAgain(step="features", column="speed", n_rows=300, n_different=12),
    )

    seen = found(gate, made=made)

    assert seen["columns made again by features, different at most 0 (hour)"].outcome == "pass"
    speed = seen["columns made again by features, different at most 0 (speed)"]
    assert (speed.outcome, speed.reason) == (
        "fail",
        "12 of 300 requests have another value in 'speed' than 'features' makes",
    )
    failed = (MadeAgain(step="features", problem="the step 'features' fails on captured rows"),)
    assert found(gate, made=failed)["columns made again by features"].outcome == "error"
    assert found(gate)["columns made again by features"].outcome == "error"


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            SkewGate(step="features"),
            "how the step 'features' is held against requests is said in one way"
            " - at `gate[0].step`",
        ),
        (
            SkewGate(step="features", takes="rides", key="ride"),
            "how the step 'features' is held against requests is said in one way"
            " - at `gate[0].step`",
        ),
        (
            SkewGate(takes="rides"),
            "takes says how a step is held against requests, and none is named"
            " - at `gate[0].takes`",
        ),
        (SkewGate(requests=0), "at least 1 request is looked at, got 0 - at `gate[0].requests`"),
        (
            SkewGate(answers_within=float("inf")),
            "a limit is 0 or more, got inf - at `gate[0].answers_within`",
        ),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(
    gate: SkewGate, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        policy_of((gate,))
    assert refused.value.message == f"cd4ml.toml: {message}"
