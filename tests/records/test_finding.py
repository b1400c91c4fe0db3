from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.finding import Finding, Outcome, worst

outcomes = st.lists(st.sampled_from(["pass", "fail", "inconclusive", "error"])).map(tuple)


def test_nothing_measured_is_an_error() -> None:
    assert worst(()) == "error"


@given(outcomes)
def test_only_passes_together_are_a_pass(several: tuple[Outcome, ...]) -> None:
    assert (worst(several) == "pass") == (set(several) == {"pass"})


@given(outcomes, outcomes)
def test_more_findings_make_no_outcome_better(
    some: tuple[Outcome, ...], more: tuple[Outcome, ...]
) -> None:
    order = ["error", "fail", "inconclusive", "pass"]
    both = order.index(worst(some + more))

    assert not some or both <= order.index(worst(some))
    assert worst(some + more) == worst(more + some)


@given(st.text(min_size=1), st.text())
def test_without_its_example_a_finding_has_rule_and_counts(example: str, rest: str) -> None:
    whole = Finding(
        gate="g",
        metric="m",
        value=2.0,
        outcome="fail",
        reason=f"2 rows: {example}",
        example=example,
    )
    alone = Finding(gate="g", metric="m", outcome="fail", reason=example, example=example)
    without = Finding(gate="g", metric="m", outcome="fail", reason=rest)

    found = whole.without_example
    assert (found.reason, found.example) == ("2 rows", "")
    assert (found.gate, found.value, found.outcome) == ("g", 2.0, "fail")
    assert alone.without_example.reason == "not shown"
    assert without.without_example == without
