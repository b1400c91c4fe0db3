"""Who has to agree in an environment, and whether they have: n of some, or some of each role."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from cd4ml.records.settings import EnvironmentSettings


class Voice(NamedTuple):
    """Somebody who agrees, with the roles in which they do."""

    name: str
    roles: tuple[str, ...]


class Agreement(NamedTuple):
    """The voices that count, and how many are missing yet of whom ("a or b", 2)."""

    counted: tuple[Voice, ...]
    missing: tuple[tuple[str, int], ...]


def approving_roles(settings: EnvironmentSettings) -> tuple[str, ...]:
    """The roles with which somebody may approve in an environment.

    Examples:
        >>> approving_roles(EnvironmentSettings(approvals={"risk": 1, "release-manager": 2}))
        ('risk', 'release-manager')
    """
    return tuple(settings.approvals) if isinstance(settings.approvals, dict) else settings.roles


def needed(settings: EnvironmentSettings) -> int:
    """How many people have to agree.

    Examples:
        >>> needed(EnvironmentSettings(approvals={"risk": 1, "release-manager": 2}))
        3
    """
    n = settings.approvals
    return sum(n.values()) if isinstance(n, dict) else n


def agreement(settings: EnvironmentSettings, voices: Iterable[Voice]) -> Agreement:
    """What voices come to: each person counts once, for one role, and so that most count.

    A voice counts only if something would be missing without it and those before it.

    Examples:
        >>> both = EnvironmentSettings(approvals={"risk": 1, "release-manager": 1})
        >>> ruth = Voice("ruth", ("risk", "release-manager"))
        >>> agreement(both, [ruth]).missing
        (('release-manager', 1),)
        >>> agreement(both, [ruth, Voice("omar", ("risk",))]).missing
        ()
    """
    seats = _seats(settings)
    taken: dict[int, Voice] = {}
    counted = [voice for voice in _each_once(voices) if _seated(voice, seats, taken, set())]
    free = [" or ".join(seat) for index, seat in enumerate(seats) if index not in taken]
    return Agreement(
        tuple(counted), tuple((role, free.count(role)) for role in dict.fromkeys(free))
    )


def _seats(settings: EnvironmentSettings) -> list[tuple[str, ...]]:
    """One seat an approval that is needed: the roles that may take it."""
    if isinstance(settings.approvals, dict):
        return [(role,) for role, n in settings.approvals.items() for _ in range(n)]
    return [settings.roles] * settings.approvals


def _each_once(voices: Iterable[Voice]) -> Iterable[Voice]:
    first: dict[str, Voice] = {}
    for voice in voices:
        first.setdefault(voice.name, voice)
    return first.values()


def _seated(
    voice: Voice, seats: Sequence[tuple[str, ...]], taken: dict[int, Voice], tried: set[int]
) -> bool:
    """Give a voice a seat, if those who sit can move so that one is free (an augmenting path)."""
    for index, seat in enumerate(seats):
        if index in tried or not set(seat) & set(voice.roles):
            continue
        tried.add(index)
        if index not in taken or _seated(taken[index], seats, taken, tried):
            taken[index] = voice
            return True
    return False
