"""In which order what is found comes: as MLflow sorts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


def ordered(things: Iterable[T], value: Callable[[T], Any], *, is_ascending: bool) -> list[T]:
    """Things by a value; in both directions NaN comes after numbers, and last what has none.

    Things that have the same value stay as they are.

    Examples:
        >>> nan = float("nan")
        >>> ordered([None, 0.5, nan, 0.7], lambda each: each, is_ascending=False)
        [0.7, 0.5, nan, None]
    """
    having: list[tuple[Any, T]] = []
    nan: list[T] = []
    without: list[T] = []
    for each in things:
        found = value(each)
        if found is None:
            without.append(each)
        elif found != found:
            nan.append(each)
        else:
            having.append((found, each))
    having.sort(key=lambda pair: pair[0], reverse=not is_ascending)
    return [each for _, each in having] + nan + without
