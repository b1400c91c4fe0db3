"""What taught a candidate keeps its contracts, or the gate says which rule is broken."""

import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.evidence import Evidence
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.records.data_gate import CheckedDataset, DataEvidence, DataGate
from cd4ml.records.finding import Finding
from tests.gates.builders import evidence

BROKEN = Finding(
    gate="wind at most 254", metric="above maximum", value=3, outcome="fail", reason="3 of 90 rows"
)
KEPT = Finding(gate="wind is number", metric="wrong type", value=0, outcome="pass")


def dataset(name: str, *findings: Finding, **changes: object) -> CheckedDataset:
    said = {"dataset": name, "ref": f"{name}@2", "contract": f"{name} 1.0.0", "n_rows": 90}
    return CheckedDataset(**said | {"findings": findings} | changes)  # type: ignore[arg-type]


def about(*datasets: CheckedDataset) -> Evidence:
    return evidence(n=20, gathered={"data": DataEvidence(datasets=datasets)})


def told(gate: DataGate, *datasets: CheckedDataset) -> list[tuple[str, str, bool, str]]:
    found = judge((gate,), about(*datasets))
    return [(f.gate, f.outcome, f.is_gated, f.reason) for f in found]


def test_a_kept_contract_passes_and_a_broken_one_names_its_rules() -> None:
    assert told(DataGate(), dataset("weather", KEPT), dataset("flights", KEPT, BROKEN)) == [
        ("broken rules at most 0 in weather@2", "pass", True, "weather 1.0.0 is kept"),
        (
            "broken rules at most 0 in flights@2",
            "fail",
            True,
            "flights 1.0.0: wind at most 254 (3 of 90 rows)",
        ),
        ("flights: wind at most 254", "fail", False, "3 of 90 rows"),
    ]


def test_a_rule_is_allowed_to_be_broken_by_name_and_with_a_reason() -> None:
    gate = DataGate(allow={"flights: wind at most 254": "gusts of the 3rd"})

    first, rule = told(gate, dataset("flights", BROKEN))

    assert first[1:] == ("pass", True, "flights 1.0.0 is kept")
    assert rule[1:] == ("fail", False, "3 of 90 rows; allowed: gusts of the 3rd")


def test_a_dataset_without_contract_fails_unless_that_is_allowed() -> None:
    bare = dataset("labelled", contract="")

    (fails,) = told(DataGate(), bare)
    (shown,) = told(DataGate(allow={"labelled": "answered requests"}), bare)

    assert fails == (
        "a contract of labelled@2",
        "fail",
        True,
        "no contract says what the rows of labelled@2 have to look like",
    )
    assert shown[1:3] == ("fail", False)
    assert shown[3].endswith("; allowed: answered requests")


def test_what_was_set_aside_has_a_ceiling() -> None:
    gate = DataGate(quarantined_at_most=0.05)
    few = dataset("flights", n_quarantined=2)
    many = dataset("flights", n_quarantined=10)

    assert told(gate, few)[1][1:] == ("pass", True, "2 of 92 rows were set aside")
    assert told(gate, many)[1] == (
        "quarantined rows at most 0.05 in flights@2",
        "fail",
        True,
        "10 of 100 rows were set aside",
    )


def test_what_could_not_be_asked_is_an_error_whatever_is_allowed() -> None:
    gone = dataset("flights", problem="no object blake3:ab")

    assert told(DataGate(allow={"flights": "known"}), gone) == [
        ("broken rules at most 0 in flights@2", "error", True, "no object blake3:ab")
    ]
    assert told(DataGate(datasets=("planes",)), gone) == [
        (
            "broken rules at most 0 in planes",
            "error",
            True,
            "the run did not read the dataset 'planes'",
        )
    ]
    assert told(DataGate())[0][1] == "error"


def test_before_anything_has_come_there_is_nothing_to_break() -> None:
    empty = CheckedDataset(dataset="labelled", ref="labelled@empty", is_empty=True)

    assert told(DataGate(), empty)[0][1:] == (
        "pass",
        True,
        "labelled had no rows yet, and taught nothing",
    )


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            DataGate(quarantined_at_most=1.5),
            "a share of rows lies between 0 and 1, got 1.5 - at `gate[0].quarantined_at_most`",
        ),
        (
            DataGate(allow={"labelled": " "}),
            "'labelled' is allowed without a reason - at `gate[0].allow`",
        ),
        (
            DataGate(datasets=("a", "a")),
            "the dataset 'a' stands twice - at `gate[0].datasets`",
        ),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(
    gate: DataGate, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        policy_of((gate,))
    assert refused.value.message == f"cd4ml.toml: {message}"
