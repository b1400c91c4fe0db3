"""The short names people type: `run/3`, `delay/1`, `release/2`, `flights@1`."""

from __future__ import annotations

from cd4ml.errors import InvalidInput

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


def version_in(ref: str) -> tuple[str, int]:
    """The model and number in `model/number`.

    Raises:
        InvalidInput: If it has another form.

    Examples:
        >>> version_in("delay/2")
        ('delay', 2)
    """
    model, _, number = ref.rpartition("/")
    if not model or not _is_number(number):
        msg = f"expected MODEL/NUMBER, got {ref!r}"
        raise InvalidInput(msg, hint="cd4ml model list shows the versions")
    return model, int(number)


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


def _is_number(text: str) -> bool:
    # nothing is numbered with more digits, and a database could not even look for it
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS and int(text) > 0
