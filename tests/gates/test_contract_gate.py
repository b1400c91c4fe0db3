"""A candidate breaks nobody who calls the model as they do today, or says so in its version."""

import msgspec
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.gates.judge import judge
from cd4ml.gates.policy import policy_of
from cd4ml.records.contract_gate import Change, ContractEvidence, ContractGate, Moves, Refusal
from cd4ml.records.finding import Finding
from tests.gates.builders import evidence

SEEN = ContractEvidence(
    name="journey",
    version="1.0.0",
    before="delay/1",
    before_version="1.0.0",
    environment="production",
    n_requests=200,
    moves=Moves(n_answers=200, mean=0.01, median=0.008, most=0.03, largest=0.09, n_flips=4),
    size_mb=0.4,
)
NARROWED = Change("hour", "major", "'hour' was an integer and is an integer of at most 23")
WIDENED = Change("wind", "minor", "'wind' may be left out")
BREAKS = {
    "changes": (NARROWED, WIDENED),
    "needed": "major",
    "is_raised": False,
    "next_version": "2.0.0",
}


def found(gate: ContractGate, **changes: object) -> dict[str, Finding]:
    seen = msgspec.structs.replace(SEEN, **changes)
    findings = judge((gate,), evidence(n=20, gathered={"contract": seen}))
    return {finding.metric: finding for finding in findings}


def test_a_breaking_change_fails_and_says_what_it_would_have_to_be_called() -> None:
    finding = found(ContractGate(), **BREAKS)["breaking changes"]

    assert finding.gate == "breaking changes at most 0 (journey 1.0.0)"
    assert (finding.outcome, finding.value) == ("fail", 1.0)
    assert finding.reason == (
        "beside 1.0.0 of delay/1: 'hour' was an integer and is an integer of at most 23: it has to"
        " be called 2.0.0"
    )


def test_a_raised_major_version_lets_it_through_and_shows_who_is_refused() -> None:
    raised = BREAKS | {"is_raised": True, "is_major_raised": True, "version": "2.0.0"}
    refusal = Refusal(field="hour", expected="an integer of at most 23", n_requests=9)

    seen = found(ContractGate(), **raised, n_refused=9, refusals=(refusal,))

    assert seen["breaking changes"].outcome == "pass"
    refused = seen["refused requests"]
    assert (refused.outcome, refused.is_gated) == ("fail", False)
    assert refused.reason == (
        "hour: expected an integer of at most 23 (9 requests); the major version is raised:"
        " consumers are to change"
    )


def test_a_compatible_change_passes_unless_the_gate_is_strict() -> None:
    wider = {
        "changes": (WIDENED,),
        "needed": "minor",
        "is_raised": False,
        "next_version": "1.1.0",
    }

    loose, strict = (
        found(ContractGate(is_strict=is_strict), **wider)["breaking changes"]
        for is_strict in (False, True)
    )

    assert (loose.outcome, loose.reason) == (
        "pass",
        "beside 1.0.0 of delay/1: 'wind' may be left out (minor: 1.1.0 would say so)",
    )
    assert (strict.outcome, strict.reason) == (
        "fail",
        "beside 1.0.0 of delay/1: 'wind' may be left out: it has to be called 1.1.0",
    )


def test_a_version_that_cannot_be_read_is_an_error() -> None:
    problem = "the contract 'journey' has the version 'new'"

    assert found(ContractGate(), problem=problem)["breaking changes"].outcome == "error"


def test_requests_on_record_that_would_be_refused_fail_by_their_share() -> None:
    refusals = (Refusal(field="carrier", expected='one of "AA"', n_requests=3),)

    strict = found(ContractGate(), n_refused=3, refusals=refusals)["refused requests"]
    loose = found(ContractGate(refused_at_most=0.02), n_refused=3)["refused requests"]

    assert (strict.outcome, strict.value, strict.n_rows) == ("fail", 0.015, 200)
    assert strict.reason == 'carrier: expected one of "AA" (3 requests)'
    assert loose.outcome == "pass"


def test_moved_answers_are_shown_and_gated_only_with_a_limit() -> None:
    shown = found(ContractGate())["moved answers"]
    gated = found(ContractGate(moved_at_most=0.02))["moved answers"]

    assert (shown.outcome, shown.is_gated) == ("pass", False)
    assert shown.reason == (
        "95 of 100 by at most 0.03, half by at most 0.008, all by at most 0.09; 4 cross one half"
    )
    assert (gated.outcome, gated.limit) == ("fail", 0.02)
    nobody = found(ContractGate(moved_at_most=0.02), moves=None)["moved answers"]
    assert nobody.outcome == "error"


def test_requests_that_are_taken_and_not_answered_fail() -> None:
    finding = found(ContractGate(), n_failed=2)["failed requests"]

    assert (finding.outcome, finding.reason) == (
        "fail",
        "2 requests are taken by the contract, and not answered",
    )


def test_budgets_of_the_contract_are_kept() -> None:
    budgets = {"latency_budget_ms": 1.0, "latency_ms": 1.5, "n_timed": 200, "size_budget_mb": 0.5}

    seen = found(ContractGate(), **budgets)

    assert seen["latency_ms"].outcome == "fail"
    assert seen["size_mb"].outcome == "pass"
    assert found(ContractGate(), latency_budget_ms=1.0)["latency_ms"].outcome == "error"
    assert "size_mb" not in found(ContractGate())


def test_before_the_first_version_there_is_nobody_to_break() -> None:
    seen = found(ContractGate(), before="", before_version="", n_requests=0, moves=None)

    assert {f.outcome for f in seen.values()} == {"pass"}
    assert seen["breaking changes"].reason == "no version is in charge yet"
    assert seen["refused requests"].reason == "no request is on record yet in production"


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        (
            ContractGate(refused_at_most=2),
            "a share of rows lies between 0 and 1, got 2 - at `gate[0].refused_at_most`",
        ),
        (ContractGate(requests=0), "at least 1 request is replayed, got 0 - at `gate[0].requests`"),
        (
            ContractGate(moved_at_most=-1),
            "answers move by 0 or more, got -1 - at `gate[0].moved_at_most`",
        ),
    ],
)
def test_a_gate_that_cannot_be_meant_is_refused_when_it_is_read(
    gate: ContractGate, message: str
) -> None:
    with pytest.raises(ConfigurationError) as refused:
        policy_of((gate,))
    assert refused.value.message == f"cd4ml.toml: {message}"
