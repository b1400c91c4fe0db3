"""What a piece of work asks for, and how long it may take."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import msgspec

from cd4ml.errors import InvalidInput

_SECONDS = {"ms": 0.001, "s": 1, "min": 60, "h": 3600, "d": 86400}
_BYTES = {
    "B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40,
}  # fmt: skip
_AMOUNT = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]+)\s*")


class Resources(msgspec.Struct, frozen=True, kw_only=True):
    """The share of a machine that work asks for; `memory` 0 asks for none in particular.

    Work that grows beyond its memory (bytes, its process and those it has started) is ended.
    """

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int = 0

    @property
    def words(self) -> str:
        """What is asked for, as people say it."""
        parts = [f"{self.cpus:g} CPUs"]
        parts += [f"{self.gpus:g} GPUs"] if self.gpus else []
        parts += [f"{in_words(self.memory)} of memory"] if self.memory else []
        return ", ".join(parts)


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How long work may take, and how often it is tried again when it fails.

    `timeout_s` 0 waits for ever. Before the n-th further attempt `backoff_s` * 2**(n - 1)
    seconds pass, five minutes at most.
    """

    timeout_s: float = 0.0
    retries: int = 0
    backoff_s: float = 1.0

    def pause_s(self, n_attempts: int) -> float:
        """How many seconds to wait after so many attempts that failed.

        Examples:
            >>> [Patience(backoff_s=2).pause_s(n) for n in (1, 2, 3, 60)]
            [2.0, 4.0, 8.0, 300.0]
        """
        return min(_LONGEST_PAUSE_S, self.backoff_s * 2.0 ** min(n_attempts - 1, 30))


_LONGEST_PAUSE_S = 300.0


def resources(*, cpus: float = 1, gpus: float = 0, memory: int | str = 0) -> Resources:
    """Resources as people write them.

    Raises:
        InvalidInput: If one of them cannot be.

    Examples:
        >>> resources(cpus=2, memory="1.5GB")
        Resources(cpus=2.0, gpus=0.0, memory=1500000000)
    """
    return Resources(
        cpus=_number("cpus", cpus, above=True),
        gpus=_number("gpus", gpus),
        memory=round(_amount("memory", memory, _BYTES, 'bytes, or text such as "4GB"')),
    )


def patience(*, timeout: float | str = 0, retries: int = 0, backoff: float | str = 1) -> Patience:
    """Patience as people write it.

    Raises:
        InvalidInput: If a part of it cannot be.

    Examples:
        >>> patience(timeout="2h", retries=3)
        Patience(timeout_s=7200.0, retries=3, backoff_s=1.0)
    """
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        msg = f"retries: expected 0 or more, got {retries!r}"
        raise InvalidInput(msg)
    expected = 'seconds, or text such as "90s", "10min" or "2h"'
    return Patience(
        timeout_s=_amount("timeout", timeout, _SECONDS, expected),
        retries=retries,
        backoff_s=_amount("backoff", backoff, _SECONDS, expected),
    )


def in_words(n_bytes: int) -> str:
    """Bytes in the largest unit that leaves a number above one.

    Examples:
        >>> in_words(1_500_000_000), in_words(512)
        ('1.5 GB', '512 B')
    """
    for unit in ("TB", "GB", "MB", "kB"):
        if n_bytes >= _BYTES[unit]:
            return f"{n_bytes / _BYTES[unit]:.3g} {unit}"
    return f"{n_bytes} B"


def _number(name: str, value: object, *, above: bool = False) -> float:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and math.isfinite(value) and (value > 0 if above else value >= 0):  # type: ignore[arg-type,operator]
        return float(value)  # type: ignore[arg-type]
    expected = "a number above 0" if above else "0 or more"
    raise InvalidInput(f"{name}: expected {expected}, got {value!r}")


def _amount(name: str, value: object, units: Mapping[str, float], expected: str) -> float:
    if not isinstance(value, str):
        if isinstance(value, int | float) and not isinstance(value, bool):
            return _number(name, value)
        raise InvalidInput(f"{name}: expected {expected}, got {value!r}")
    found = _AMOUNT.fullmatch(value)
    if found is None or found[2] not in units:
        raise InvalidInput(f"{name}: expected {expected}, got {value!r}")
    return float(found[1]) * units[found[2]]
