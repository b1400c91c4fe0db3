from hypothesis import given
from hypothesis import strategies as st

from cd4ml.records.finding import Outcome, worst

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
