import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.engines.mlflow.entities import milliseconds, moment, spoken, understood
from cd4ml.engines.mlflow.faults import answer_to
from cd4ml.errors import (
    AlreadyExists,
    Cd4mlError,
    Conflict,
    Corrupted,
    InvalidInput,
    NotAllowed,
    NotFound,
    Unavailable,
)

EPOCH, LAST = datetime(1970, 1, 1), datetime(9999, 12, 31)  # noqa: DTZ001 - hypothesis wants none


@given(st.floats())
def test_a_number_is_understood_as_it_was_spoken(value: float) -> None:
    assert understood(spoken(value)) == value or math.isnan(value)


@given(st.datetimes(EPOCH, LAST))
def test_a_moment_is_kept_to_the_millisecond(at: datetime) -> None:
    aware = at.replace(tzinfo=UTC)

    assert timedelta(0) <= aware - moment(milliseconds(aware)) < timedelta(milliseconds=1)


def test_a_time_that_no_calendar_has_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"^expected milliseconds since 1970, got 9223372036"):
        moment(2**63 - 1)


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (NotFound, "RESOURCE_DOES_NOT_EXIST", 404),
        (AlreadyExists, "RESOURCE_ALREADY_EXISTS", 400),
        (Conflict, "RESOURCE_CONFLICT", 409),
        (InvalidInput, "INVALID_PARAMETER_VALUE", 400),
        (NotAllowed, "PERMISSION_DENIED", 403),
        (Unavailable, "TEMPORARILY_UNAVAILABLE", 503),
        (Corrupted, "DATA_LOSS", 409),  # 500 would be asked again for minutes
    ],
)
def test_an_error_has_mlflows_code(error: type[Cd4mlError], code: str, status: int) -> None:
    assert answer_to(error("why")) == (code, status)
