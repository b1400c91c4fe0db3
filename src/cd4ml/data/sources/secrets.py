"""Secrets that stand in the environment, and by name in `cd4ml.toml`."""

from __future__ import annotations

import os
import re

from cd4ml.errors import ConfigurationError

_VARIABLE = re.compile(r"\benv:([A-Za-z_][A-Za-z0-9_]*)")


def filled(text: str, key: str) -> str:
    """A text in which each `env:NAME` is replaced by that variable's value.

    Args:
        text: As it stands in `cd4ml.toml`, such as "Bearer env:RIDES_TOKEN".
        key: What it is for, for the message.

    Raises:
        ConfigurationError: If a variable is not set, or its value has line breaks.
    """
    missing = [name for name in _VARIABLE.findall(text) if not os.environ.get(name)]
    if missing:
        msg = f"the environment variable {missing[0]} is not set, and {key!r} names it"
        raise ConfigurationError(msg, hint=f"export {missing[0]}=...")
    value = _VARIABLE.sub(lambda found: os.environ[found[1]], text)
    if not value.isprintable():
        msg = f"expected one line of printable text for {key!r}"
        raise ConfigurationError(msg, hint="a line break at the end of a secret is none of it")
    return value
