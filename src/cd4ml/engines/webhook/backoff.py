"""How long to wait before the next attempt."""

from __future__ import annotations

FIRST_S, LONGEST_S = 5.0, 3600.0

_DOUBLINGS = 20  # beyond them the wait is the longest anyway


def wait_s(attempts: int, chance: float, asked_s: float | None = None) -> float:
    """Seconds until the next attempt: 5, 10, 20, ... up to an hour, less by up to a half.

    The chance keeps those who failed together from coming back together.

    Args:
        attempts: How many have failed, from 1 on.
        chance: From 0 (included) to 1 (excluded).
        asked_s: What the receiver asked for; it is waited for, an hour at most.

    Source:
        M. Brooker, "Exponential backoff and jitter", AWS Architecture Blog 2015, equal jitter.

    Examples:
        >>> wait_s(1, 0.0), wait_s(3, 0.0), wait_s(3, 0.5), wait_s(30, 0.0)
        (5.0, 20.0, 15.0, 3600.0)
    """
    longest = min(LONGEST_S, FIRST_S * 2.0 ** min(attempts - 1, _DOUBLINGS))
    waits = longest * (1 - chance / 2)
    return waits if asked_s is None else min(LONGEST_S, max(waits, asked_s))
