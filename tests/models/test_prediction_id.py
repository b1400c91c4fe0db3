"""A prediction id is unique, sorts by time and can be read back."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import InvalidInput
from cd4ml.models import prediction_id as ids
from cd4ml.models.prediction_id import PredictionId, PredictionIds, make, parse

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


@given(moments, numbers_24)
def test_a_worker_gives_ids_that_say_the_same_and_none_twice(at: datetime, plan: int) -> None:
    given_by, at_us = PredictionIds(), int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())
    at_us *= 1_000_000

    first, second = given_by.next(at_us, plan, 2)
    (later,) = given_by.next(at_us + 1_000, plan, 1)

    assert parse(first) == PredictionId(at.replace(microsecond=0), plan)
    assert len({first, second, later}) == 3
    assert first < second < later


def test_a_worker_that_has_given_all_its_ids_goes_on_as_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ids, "SEQUENCES", 4)
    given_by = PredictionIds()

    made = [prediction_id for n in (2, 1, 2) for prediction_id in given_by.next(0, 1, n)]

    assert [int(each[-8:], 16) for each in made] == [1, 2, 3, 1, 2]
    assert made[0][18:24] == made[2][18:24] != made[3][18:24]


def test_a_time_before_1970_has_no_id() -> None:
    with pytest.raises(InvalidInput, match="a time from 1970 on"):
        PredictionIds().next(-1_000_000, 1, 1)
