"""Nothing may tell a candidate what only the future, or the holdout, knows."""

import msgspec
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.records.finding import Finding
from cd4ml.records.leakage_gate import (
    AloneColumn,
    LateColumn,
    LeakageEvidence,
    LeakageGate,
    StepInput,
    TimeSplit,
)
from tests.gates.builders import evidence

CLEAN = LeakageEvidence(
    n_training=400,
    n_holdout=200,
    n_shared=0,
    n_repeated=3,
    alone=(
        AloneColumn(column="wind", measure="auc", value=0.7, low=0.6, high=0.8),
        AloneColumn(column="hour", measure="auc", value=0.55, low=0.5, high=0.6),
    ),
    split=TimeSplit(column="event_at", n_late=0, gap_hours=24.5),
    steps=(
        StepInput(step="features", kind="table", reads="flights"),
        StepInput(step="delay", kind="model", reads=""),
    ),
)


def found(gate: LeakageGate, **changes: object) -> dict[str, Finding]:
    seen = msgspec.structs.replace(CLEAN, **changes)
    findings = judge((gate,), evidence(n=20, gathered={"leakage": seen}))
    return {finding.gate: finding for finding in findings}


def outcomes(gate: LeakageGate, **changes: object) -> dict[str, str]:
    return {name: finding.outcome for name, finding in found(gate, **changes).items()}


def test_a_clean_candidate_passes_every_question() -> None:
    assert outcomes(LeakageGate(embargo_hours=24)) == {
        "shared rows at most 0": "pass",
        "repeated requests": "pass",
        "one column alone at most 0.99": "pass",
        "split in time by at least 24 hours": "pass",
        "learned from the holdout at most 0": "pass",
    }
    best = found(LeakageGate())["one column alone at most 0.99"]
    assert (best.value, best.reason) == (0.7, "the auc of 'wind', the best of 2 columns")


def test_a_column_that_is_the_target_fails_by_name() -> None:
    leak = AloneColumn(column="arr_delay", measure="auc", value=0.999, low=0.99, high=1.0)
    changed = {"alone": (*CLEAN.alone, leak)}

    (finding,) = (f for g, f in found(LeakageGate(), **changed).items() if "alone" in g)

    assert finding.gate == "one column alone at most 0.99 (arr_delay)"
    assert finding.outcome == "fail"
    assert finding.reason == "its auc: 'arr_delay' says what is to be predicted"
    allowed = found(LeakageGate(allow={"arr_delay": "measured on landing"}), **changed)
    shown = allowed["one column alone at most 0.99 (arr_delay)"]
    assert (shown.outcome, shown.is_gated, shown.slice) == ("fail", False, "arr_delay")
    assert allowed["one column alone at most 0.99"].value == 0.7


def test_a_column_that_could_not_be_measured_is_an_error() -> None:
    unmeasured = AloneColumn(column="wind", measure="auc", problem="one class")
    gate = LeakageGate(allow={"wind": "no"})

    assert outcomes(gate, alone=(unmeasured,))["one column alone at most 0.99 (wind)"] == "error"
    assert outcomes(gate, alone=())["one column alone"] == "error"


def test_without_rows_nothing_was_seen() -> None:
    assert outcomes(LeakageGate(), n_holdout=0) == {"leakage": "error"}
    assert found(LeakageGate(), n_training=0)["leakage"].reason == (
        "there are no training rows to look at"
    )


def test_rows_on_both_sides_and_requests_that_repeat_are_counted() -> None:
    assert outcomes(LeakageGate(), n_shared=2)["shared rows at most 0"] == "fail"
    some = found(LeakageGate(repeated_at_most=0.01))["repeated requests at most 0.01"]
    assert (some.outcome, some.value, some.reason) == (
        "fail",
        0.015,
        "3 of 200 requests stand in the training rows too",
    )


def test_what_was_known_too_late_fails_if_it_is_asked_and_is_shown_if_not() -> None:
    schedule = LateColumn(column="arrives_at", n_late=600, n_rows=600)
    arrival = LateColumn(column="seen_at", n_late=5, n_rows=600, is_arrival=True)
    quiet = LateColumn(column="booked_at", n_late=0, n_rows=600)

    seen = found(LeakageGate(known_at=("booked_at", "gone")), late=(schedule, arrival, quiet))

    late = seen["known too late at most 0 (seen_at)"]
    assert (late.outcome, late.is_gated) == ("fail", True)
    assert late.reason == (
        "5 of 600 rows say in 'seen_at' that they were known after their event time"
    )
    shown = seen["known too late at most 0 (arrives_at)"]
    assert (shown.outcome, shown.is_gated) == ("fail", False)
    assert seen["known too late at most 0 (booked_at)"].outcome == "pass"
    assert (
        seen["known too late at most 0 (gone)"].reason
        == "the rows have no column of times named 'gone'"
    )


def test_training_rows_among_the_holdout_rows_fail() -> None:
    mixed = TimeSplit(column="event_at", n_late=7, gap_hours=-240.0)

    finding = found(LeakageGate(), split=mixed)["split in time by at least 0 hours"]

    assert finding.outcome == "fail"
    assert finding.reason == (
        "7 of 400 training rows are not before the first holdout row, by 'event_at'"
    )
    allowed = found(LeakageGate(allow={"split in time": "patients do not age"}), split=mixed)
    assert not allowed["split in time by at least 0 hours"].is_gated
    assert outcomes(LeakageGate(embargo_hours=1), split=None)["split in time"] == "error"
    assert "split in time by at least 0 hours" not in outcomes(LeakageGate(), split=None)


def test_a_gap_shorter_than_the_embargo_fails() -> None:
    assert outcomes(LeakageGate(embargo_hours=48))["split in time by at least 48 hours"] == ("fail")


ENCODER = StepInput(step="encoder", kind="model", reads="features", n_shared=200)
RATES = StepInput(step="rates", kind="table", reads="features", n_shared=200)


def test_a_step_that_learned_from_the_holdout_is_found() -> None:
    seen = found(LeakageGate(), steps=(*CLEAN.steps, ENCODER, RATES))

    finding = seen["learned from the holdout at most 0 (encoder)"]
    assert (finding.outcome, finding.value, finding.limit) == ("fail", 200.0, 0.0)
    assert finding.reason == (
        "the step 'encoder' makes a model of 'features', and 200 of the 200 holdout rows stand"
        " in it"
    )
    assert "learned from the holdout at most 0 (rates)" not in seen


def test_a_table_that_is_learned_from_rows_is_declared() -> None:
    gate = LeakageGate(fits=("rates", "gone"))

    seen = found(gate, steps=(*CLEAN.steps, RATES))

    assert seen["learned from the holdout at most 0 (rates)"].outcome == "fail"
    assert seen["learned from the holdout at most 0 (gone)"].reason == (
        "'gone', named in fits, is no step that the model comes from"
    )


def test_a_step_whose_input_holds_none_of_the_rows_passes() -> None:
    earlier = msgspec.structs.replace(ENCODER, n_shared=0)

    passed = found(LeakageGate(), steps=(*CLEAN.steps, earlier))

    assert passed["learned from the holdout at most 0"].outcome == "pass"


def test_an_alarm_is_put_off_by_name_and_with_a_reason() -> None:
    gate = LeakageGate(allow={"encoder": "it filters by date"})

    finding = found(gate, steps=(ENCODER,))["learned from the holdout at most 0 (encoder)"]

    assert (finding.outcome, finding.is_gated) == ("fail", False)
    assert finding.reason.endswith("; allowed: it filters by date")


def test_a_model_whose_making_nobody_knows_is_undecided() -> None:
    unknown = {"steps": (), "no_steps": "the model is no step's output"}
    allow = {"learned from the holdout": "made by the vendor"}

    assert outcomes(LeakageGate(), **unknown)["learned from the holdout at most 0"] == (
        "inconclusive"
    )
    seen = found(LeakageGate(allow=allow), **unknown)["learned from the holdout at most 0"]
    assert not seen.is_gated


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            LeakageGate(alone_at_most=0),
            "a column alone explains between 0 and 1, got 0 - at `gate[0].alone_at_most`",
        ),
        (
            LeakageGate(embargo_hours=float("nan")),
            "an embargo lasts 0 hours or more, got nan - at `gate[0].embargo_hours`",
        ),
        (
            LeakageGate(repeated_at_most=-0.1),
            "a share of rows lies between 0 and 1, got -0.1 - at `gate[0].repeated_at_most`",
        ),
        (
            LeakageGate(allow={"encoder": ""}),
            "'encoder' is allowed without a reason - at `gate[0].allow`",
        ),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(
    gate: LeakageGate, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        policy_of((gate,))
    assert refused.value.message == f"cd4ml.toml: {message}"
