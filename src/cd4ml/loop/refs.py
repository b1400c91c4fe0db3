"""The short names people type: `run/3`, `delay/1`, `release/2`, `flights@1`."""

from __future__ import annotations

from cd4ml.errors import InvalidInput


def number_in(ref: str, kind: str) -> int:
    """The number in `kind/number`, or in a bare number.

    Raises:
        InvalidInput: If it is neither.

    Examples:
        >>> number_in("run/3", "run"), number_in("3", "run")
        (3, 3)
    """
    text = ref.removeprefix(f"{kind}/")
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
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
    if not model or not (number.isascii() and number.isdigit()):
        msg = f"expected MODEL/NUMBER, got {ref!r}"
        raise InvalidInput(msg, hint="cd4ml model list shows the versions")
    return model, int(number)
