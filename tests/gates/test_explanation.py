"""Gates on explanations, judged from what was written down."""

from typing import Any

import msgspec
import numpy as np
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.records.explanation import ExplanationEvidence, FieldImportance
from cd4ml.records.explanation_gate import ExplanationGate
from cd4ml.records.finding import Finding

SEEN = ExplanationEvidence(
    artifact="blake3:aa",
    n_rows=200,
    method="linear",
    unit="log-odds",
    largest_gap=1e-7,
    shares={"wind": 0.7, "hour": 0.3},
    metric="auc",
    level=0.8,
    n_measured=500,
    importance=(
        FieldImportance(field="wind", value=0.2, low=0.18, high=0.22),
        FieldImportance(field="hour", value=0.0, low=-0.01, high=0.01),
    ),
)


def findings(gate: ExplanationGate, **changes: Any) -> dict[str, Finding]:
    """What a gate finds in evidence like the above, by what was asked."""
    seen = msgspec.structs.replace(SEEN, **changes)
    evidence = Evidence(
        y_true=np.zeros(0), score=np.zeros(0), base_rate=0.0, gathered={"explanation": seen}
    )
    return {each.gate: each for each in judge((gate,), evidence)}


def test_explanations_that_are_there_pass_and_the_importance_of_each_field_is_shown() -> None:
    found = findings(ExplanationGate())

    assert {asked: (each.outcome, each.is_gated) for asked, each in found.items()} == {
        "contributions that add up to the answer": ("pass", True),
        "importance of each field": ("pass", True),
        "importance of wind by auc": ("pass", False),
        "importance of hour by auc": ("pass", False),
    }
    assert found["importance of each field"].reason == (
        "most of all wind: without it auc is worse by 0.2"
    )


@pytest.mark.parametrize(("limit", "outcome"), [(0.7, "pass"), (0.69, "fail")])
def test_no_field_may_carry_more_than_its_share(limit: float, outcome: str) -> None:
    found = findings(ExplanationGate(largest_share=limit))[f"largest share at most {limit:g}"]

    assert (found.value, found.outcome, found.reason) == (0.7, outcome, "wind carries 70 %")


def test_parts_that_add_up_to_something_else_fail() -> None:
    found = findings(ExplanationGate(), largest_gap=0.1)

    assert found["contributions that add up to the answer"].outcome == "fail"


def test_what_could_not_be_explained_is_an_error_with_its_reason() -> None:
    gate = ExplanationGate(largest_share=0.5)

    found = findings(
        gate,
        n_rows=0,
        shares={},
        reason="it may not be loaded",
        importance=(),
        importance_reason="only one class",
    )

    assert {asked: (each.outcome, each.reason) for asked, each in found.items()} == {
        "contributions that add up to the answer": ("error", "it may not be loaded"),
        "importance of each field": ("error", "only one class"),
        "largest share at most 0.5": ("error", "it may not be loaded"),
    }


def test_nothing_explained_at_all_is_an_error() -> None:
    evidence = Evidence(y_true=np.zeros(0), score=np.zeros(0), base_rate=0.0)

    (found,) = judge((ExplanationGate(),), evidence)

    assert found.outcome == "error"
    assert found.reason
    empty = findings(ExplanationGate(largest_share=0.5), n_rows=0, shares={}, importance=())
    assert {each.outcome for each in empty.values()} == {"error"}


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            {"largest_share": 1.5},
            "a share lies between 0 and 1, got 1.5 - at `gate[0].largest_share`\n"
            "  hint: for example 0.6",
        ),
        ({"rows": 0}, "expected 1 to 10,000, got 0 - at `gate[0].rows`"),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(gate: Any, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        policy_of((ExplanationGate(**gate),))

    assert str(caught.value) == f"cd4ml.toml: {message}"
