"""`NAME=VALUE` words: parameters, grids and dataset versions."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable
from typing import Any


def pair(text: str) -> tuple[str, str]:
    """Split at the first `=`.

    Raises:
        argparse.ArgumentTypeError: If a side is missing.

    Examples:
        >>> pair("flights=flights@1")
        ('flights', 'flights@1')
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, value


def setting(text: str) -> tuple[str, Any]:
    """A parameter and its value, which may be empty text.

    Raises:
        argparse.ArgumentTypeError: If there is no name or no `=`.

    Examples:
        >>> setting("delay.max_iter=300"), setting("delay.loss=log_loss"), setting("delay.tag=")
        (('delay.max_iter', 300), ('delay.loss', 'log_loss'), ('delay.tag', ''))
    """
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    return name, plain_value(value)


def choices(text: str) -> tuple[str, list[Any]]:
    """A parameter and the values to try, separated by commas.

    Examples:
        >>> choices("delay.learning_rate=0.05,0.1")
        ('delay.learning_rate', [0.05, 0.1])
    """
    name, values = pair(text)
    return name, [plain_value(value) for value in values.split(",")]


def partition(text: str) -> tuple[str, tuple[str, ...]]:
    """A column, and the keys that are wanted; none for all of them.

    Raises:
        argparse.ArgumentTypeError: If the column or a key is missing.

    Examples:
        >>> partition("origin"), partition("flights.origin=EWR,JFK")
        (('origin', ()), ('flights.origin', ('EWR', 'JFK')))
    """
    column, equals, listed = text.partition("=")
    keys = tuple(listed.split(",")) if equals else ()
    if not column or "" in keys:
        raise argparse.ArgumentTypeError(f"expected COLUMN or COLUMN=KEY,KEY, got {text!r}")
    return column, keys


def plain_value(text: str) -> Any:
    """Number, true, false, null or list where the text is one in JSON, else the text itself.

    Examples:
        >>> plain_value("1e-3"), plain_value("true"), plain_value("[1, 2]"), plain_value("adam")
        (0.001, True, [1, 2], 'adam')
    """
    try:
        return json.loads(text, parse_constant=_keep)
    except json.JSONDecodeError:
        return text


def once(pairs: Iterable[tuple[str, Any]], option: str, *, command: str = "run") -> dict[str, Any]:
    """The pairs as a mapping.

    Raises:
        UsageError: If a name comes twice: one of them would be ignored.
    """
    from cd4ml.cli.words import UsageError

    together: dict[str, Any] = {}
    for name, value in pairs:
        if name in together:
            msg = f"cd4ml {command}: {option} {name} is given twice"
            raise UsageError(msg, hint="a name has one value; --grid tries several")
        together[name] = value
    return together


def _keep(text: str) -> str:
    # json would make NaN of NaN: no parameter is meant to be that
    return text
