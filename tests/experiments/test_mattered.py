"""What mattered in a search: told from its trials, on the scales they were drawn on."""

from hypothesis import given
from hypothesis import strategies as st

from cd4ml.experiments.mattered import mattered
from cd4ml.experiments.space import domain_of, place_of, sample, value_at
from cd4ml.records.search import SearchPlan, Trial
from tests.experiments.plans import plan

SPACE = {"step.rate": "0.001..1.0:log", "step.kind": ["a", "b", "c"], "step.none": "1..9"}


def trials(which: SearchPlan, *, rung: int = 0) -> list[Trial]:
    """The kind decides nearly all; of the rate only its logarithm counts."""
    return [
        Trial(
            search=1,
            position=i,
            parameters=values,
            rung=rung,
            state="finished",
            value="abc".index(values["step.kind"])
            + 0.5 * place_of(which.space["step.rate"], values["step.rate"]),
        )
        for i, values in enumerate(sample(which.space, which.n_trials, seed=1))
    ]


def test_the_parameter_that_decides_comes_first() -> None:
    which = plan(SPACE, n_trials=120)

    found = mattered(which, trials(which))

    assert found is not None
    names = [each.parameter for each in found.parameters]
    assert names == ["step.kind", "step.rate", "step.none"]
    assert found.parameters[0].share > 0.8
    assert (found.n_trials, found.explained > 0.9) == (120, True)


def test_few_trials_tell_nothing() -> None:
    which = plan(SPACE, n_trials=9)

    assert mattered(which, trials(which)) is None
    assert mattered(which, []) is None


def test_trials_that_were_promoted_do_not_count_again() -> None:
    which = plan(SPACE, n_trials=20)

    assert mattered(which, trials(which, rung=1)) is None


@given(st.floats(0, 1, exclude_max=True))
def test_a_place_is_where_the_value_was_drawn(share: float) -> None:
    for text in ("0.001..1.0:log", "0..1.5"):
        domain = domain_of("a.b", text)

        assert abs(place_of(domain, value_at(domain, share)) - share) < 1e-9
