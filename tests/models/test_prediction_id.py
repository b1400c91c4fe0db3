"""A prediction id is unique, sorts by time and can be read back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.models.prediction_id import PredictionId, make, parse

moments = st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
numbers_24 = st.integers(0, 2**24 - 1)
numbers_32 = st.integers(0, 2**32 - 1)


@given(moments, numbers_24, numbers_24, numbers_32)
def test_an_id_says_when_and_under_which_plan(
    at: datetime, plan: int, worker: int, sequence: int
) -> None:
    prediction_id = make(at, plan, worker, sequence)

    assert len(prediction_id) == 32
    assert parse(prediction_id) == PredictionId(
        at.replace(microsecond=at.microsecond // 1000 * 1000), plan
    )


@given(moments, numbers_24, numbers_24, numbers_32, numbers_24, numbers_24, numbers_32)
def test_ids_sort_by_time(
    at: datetime, p: int, w: int, s: int, other_p: int, other_w: int, other_s: int
) -> None:
    if at.year == 9999:
        return
    later = at + timedelta(milliseconds=1)

    assert make(at, p, w, s) < make(later, other_p, other_w, other_s)


@pytest.mark.parametrize(
    "wrong", ["", "7", "g" * 32, "0" * 31, "0" * 33, "013C930D7C0000000300BEEF00000007"]
)
def test_what_is_no_id_is_refused(wrong: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        parse(wrong)

    assert str(refusal.value) == (
        f"expected a prediction id of 32 hexadecimal digits, got {wrong!r}\n"
        "  hint: every answer carries one, as `prediction_id`"
    )


def test_a_time_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(InvalidInput, match="names a time after the year 9999"):
        parse("f" * 32)


@pytest.mark.parametrize(
    ("year", "plan", "worker", "sequence"),
    [
        (1969, 1, 1, 1),
        (2013, 2**24, 1, 1),
        (2013, 1, 2**24, 1),
        (2013, 1, 1, 2**32),
        (2013, -1, 1, 1),
    ],
)
def test_a_part_that_does_not_fit_is_refused(
    year: int, plan: int, worker: int, sequence: int
) -> None:
    with pytest.raises(InvalidInput, match="a prediction id needs a time from 1970 on"):
        make(datetime(year, 1, 1, tzinfo=UTC), plan, worker, sequence)
