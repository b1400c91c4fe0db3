"""What models, aliases and tags may be called."""

from __future__ import annotations

import re

from cd4ml.errors import InvalidInput
from cd4ml.store.storable import problem

_LONGEST_MODEL = 200  # characters
_LONGEST_ALIAS = 100
_LONGEST_TAG = 250
_LONGEST_VALUE = 5_000
_SHOWN = 60
_ALIAS = re.compile(r"[\w-]+")
_NUMBER = re.compile(r"[vV]?\d+")


def require_model_name(text: str) -> None:
    """Let no name through that could not stand in `name/3` and `name@champion`.

    Raises:
        InvalidInput: If it is empty or too long, cannot be printed, or has "/", ":" or "@" in it.

    Examples:
        >>> require_model_name("arrival delay")
        >>> require_model_name("delay/3")
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: expected a model's name without '/', ':' and '@', got 'delay/3'
          hint: delay/3 and delay@champion are versions of the model delay
    """
    if set("/:@") & set(text):
        msg = f"expected a model's name without '/', ':' and '@', got {text[:_SHOWN]!r}"
        raise InvalidInput(msg, hint="delay/3 and delay@champion are versions of the model delay")
    if not (text.isprintable() and text == text.strip() and 0 < len(text) <= _LONGEST_MODEL):
        msg = f"expected a model's name of 1 to {_LONGEST_MODEL} printable characters"
        raise InvalidInput(
            f"{msg}, got {text[:_SHOWN]!r}", hint="spaces may stand within it, not around it"
        )


def require_alias_name(text: str) -> None:
    """Let no alias through that could be taken for a number, or for the newest version.

    Raises:
        InvalidInput: If it is not letters, digits, "_" and "-", or if it is a number or "latest".

    Examples:
        >>> require_alias_name("champion")
        >>> require_alias_name("v3")
        Traceback (most recent call last):
        cd4ml.errors.InvalidInput: expected an alias that is no number, got 'v3'
          hint: for example champion, challenger or quarter-1
    """
    hint = "for example champion, challenger or quarter-1"
    if _NUMBER.fullmatch(text):
        raise InvalidInput(f"expected an alias that is no number, got {text[:_SHOWN]!r}", hint=hint)
    if text.lower() == "latest":
        msg = "'latest' can be no alias: it would not say which version was meant"
        raise InvalidInput(msg, hint=hint)
    if not _ALIAS.fullmatch(text) or len(text) > _LONGEST_ALIAS:
        msg = f"expected an alias of 1 to {_LONGEST_ALIAS} letters, digits, '_' and '-'"
        raise InvalidInput(f"{msg}, got {text[:_SHOWN]!r}", hint=hint)


def require_tag(name: str, value: str) -> None:
    """Let no tag through that no list could show.

    Raises:
        InvalidInput: If its name or its value is too long, or holds what cannot be stored.

    Examples:
        >>> require_tag("team", "arrivals")
    """
    if not (name.isprintable() and name == name.strip() and 0 < len(name) <= _LONGEST_TAG):
        msg = f"expected a tag's name of 1 to {_LONGEST_TAG} printable characters"
        raise InvalidInput(f"{msg}, got {name[:_SHOWN]!r}")
    if len(value) > _LONGEST_VALUE:
        msg = f"the tag {name!r} has a value of {len(value):,} characters"
        raise InvalidInput(msg, hint=f"at most {_LONGEST_VALUE:,}; a description takes more")
    if found := problem(value):
        raise InvalidInput(f"the tag {name!r} cannot be stored: {found}")
