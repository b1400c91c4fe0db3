"""What people type: the names `run/3`, `delay/1`, `release/2`, `flights@1`, and moments."""

from __future__ import annotations

from datetime import UTC, date, datetime

from cd4ml.errors import InvalidInput
from cd4ml.models.registry import version_in as version_in

_MOST_DIGITS = 9


def number_in(ref: str, kind: str) -> int:
    """The number in `kind/number`, or in a bare number.

    Raises:
        InvalidInput: If it is neither.

    Examples:
        >>> number_in("run/3", "run"), number_in("3", "run")
        (3, 3)
    """
    text = ref.removeprefix(f"{kind}/")
    if not _is_number(text):
        msg = f"expected {kind}/NUMBER, got {ref!r}"
        raise InvalidInput(msg, hint=f"for example {kind}/1")
    return int(text)


def dataset_version_in(ref: str) -> tuple[str, int]:
    """The name and number in `name@number`.

    Raises:
        InvalidInput: If it has another form.

    Examples:
        >>> dataset_version_in("flights@1")
        ('flights', 1)
    """
    name, _, number = ref.partition("@")
    if not name or not _is_number(number):
        msg = f"expected NAME@NUMBER, got {ref!r}"
        raise InvalidInput(msg, hint=f"for example {name or 'flights'}@1")
    return name, int(number)


def moment_in(given: datetime | date | str) -> datetime:
    """A moment, from what people give for one; without a time zone it is meant in UTC.

    Raises:
        InvalidInput: If it is none, or a text is no date or time of ISO 8601.

    Examples:
        >>> moment_in("2013-03-01").isoformat(), moment_in("2013-03-01T09:30+01:00").isoformat()
        ('2013-03-01T00:00:00+00:00', '2013-03-01T09:30:00+01:00')
    """
    if isinstance(given, str):
        try:
            given = datetime.fromisoformat(given)
        except ValueError:
            msg = f"expected a date or time, got {given!r}"
            raise InvalidInput(msg, hint="for example 2013-03-01 or 2013-03-01T09:30") from None
    if not isinstance(given, date):
        msg = f"expected a date or time, got {given!r}"
        raise InvalidInput(msg, hint="for example 2013-03-01 or 2013-03-01T09:30")
    if not isinstance(given, datetime):
        return datetime(given.year, given.month, given.day, tzinfo=UTC)
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _is_number(text: str) -> bool:
    # nothing is numbered with more digits, and a database could not even look for it
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) > 0
