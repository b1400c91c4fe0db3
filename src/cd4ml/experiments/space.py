"""What a search may try: parameters, each with the values it can take."""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.records.search import Choices, Domain, Range

Space = Mapping[str, Domain]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"({_NUMBER})\.\.({_NUMBER})(?::(log|{_NUMBER}))?")
_FORMS = "1,2,3 are values, 50..500 a range, 0.01..1:log and 0..1:0.1 ranges with their spacing"
_EXACT = 2.0**53  # up to here a float is every whole number
_MANY = 2**62  # combinations from which on two drawn alike are not to be expected


def space_of(given: Mapping[str, Any]) -> dict[str, Domain]:
    """The space that was written down.

    Args:
        given: "step.parameter" -> a text ("1,2,3", "50..500", "0.01..1:log", "0..1:0.1"), or
            the values themselves.

    Raises:
        InvalidInput: If there is no parameter, one without a value, or a range cannot be one.

    Examples:
        >>> space_of({"delay.loss": ["a", "b"], "delay.max_iter": "50..500"})["delay.loss"]
        Choices(values=('a', 'b'))
    """
    if not given:
        msg = "a search needs a parameter with the values to try"
        raise InvalidInput(msg, hint="--try STEP.PARAMETER=1,2,3")
    return {name: domain_of(name, values) for name, values in given.items()}


def domain_of(name: str, given: Any) -> Domain:
    """The values of one parameter.

    Raises:
        InvalidInput: If it has none, one twice, or a range cannot be one.

    Examples:
        >>> domain_of("a.b", "1..8")
        Range(low=1.0, high=8.0, is_whole=True, step=None, is_log=False)
        >>> domain_of("a.b", "0.1,fast,true")
        Choices(values=(0.1, 'fast', True))
    """
    if isinstance(given, Choices | Range):
        return given
    if not isinstance(given, str):
        return _choices(name, list(given) if isinstance(given, Sequence) else [given])
    if found := _RANGE.fullmatch(given):
        return _range(name, *found.groups())
    if ".." in given:
        msg = f"the parameter {name!r}: {given!r} is no range"
        raise InvalidInput(msg, hint=_FORMS)
    return _choices(name, [_plain(text) for text in given.split(",")])


def values_of(domain: Domain) -> Sequence[Any] | None:
    """Every value there is, in order; None where they cannot be counted.

    Examples:
        >>> list(values_of(domain_of("a.b", "0..1:0.25")))
        [0.0, 0.25, 0.5, 0.75, 1.0]
        >>> values_of(domain_of("a.b", "0..1.0"))
    """
    if isinstance(domain, Choices):
        return domain.values
    if domain.is_whole:
        return range(int(domain.low), int(domain.high) + 1, int(domain.step or 1))
    if domain.step is None:
        return None
    return _Stepped(domain)


def n_steps(domain: Range) -> int:
    """How many values a range with a step has, or one of whole numbers.

    Examples:
        >>> n_steps(domain_of("a.b", "50..500:100"))
        5
    """
    # a hair more: 0.3 / 0.1 is less than 3
    return math.floor((domain.high - domain.low) / (domain.step or 1.0) + 1e-9) + 1


def value_at(domain: Domain, share: float) -> Any:
    """The value that lies at a share of the way through a domain.

    Args:
        domain: Of one parameter.
        share: From 0 up to, but not, 1.

    Examples:
        >>> (
        ...     value_at(domain_of("a.b", "0.01..100.0:log"), 0.5),
        ...     value_at(domain_of("a.b", "x,y"), 0.7),
        ... )
        (1.0, 'y')
    """
    if isinstance(domain, Range) and domain.is_log:
        return _log_value(domain, share)
    values = values_of(domain)
    if values is not None:
        return values[min(int(share * len(values)), len(values) - 1)]
    assert isinstance(domain, Range)  # only these cannot be counted
    return domain.low + share * (domain.high - domain.low)


def place_of(domain: Domain, value: Any) -> float:
    """Where a value lies in its domain, from 0 to 1, on the scale it is drawn on.

    Raises:
        InvalidInput: If it is not one of the named values.

    Examples:
        >>> (
        ...     place_of(domain_of("a.b", "0.01..100.0:log"), 1.0),
        ...     place_of(domain_of("a.b", "x,y"), "y"),
        ... )
        (0.5, 1.0)
    """
    if isinstance(domain, Choices):
        named = [repr(each) for each in domain.values]
        if repr(value) not in named:
            msg = f"{value!r} is none of the values that were to be tried"
            raise InvalidInput(msg)
        return named.index(repr(value)) / max(1, len(named) - 1)
    low, high, at = domain.low, domain.high, float(value)
    if domain.is_log:
        low, high, at = math.log(low), math.log(high), math.log(at)
    return min(1.0, max(0.0, (at - low) / (high - low)))


def size(space: Space) -> int | None:
    """How many combinations there are; None where they cannot be counted.

    Examples:
        >>> size(space_of({"a": "1..3", "b": "x,y"})), size(space_of({"a": "0..1.5"}))
        (6, None)
    """
    counts = [values_of(domain) for domain in space.values()]
    return None if None in counts else math.prod(len(values or ()) for values in counts)


def grid(space: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Every combination of the values; the last parameter changes fastest.

    Raises:
        InvalidInput: If there is no parameter, one without a value, or one whose values cannot
            be counted.

    Examples:
        >>> grid({"a": [1, 2], "b": [3]})
        [{'a': 1, 'b': 3}, {'a': 2, 'b': 3}]
    """
    domains = space_of(space)
    refuse_uncountable(domains)
    return [combination(domains, index) for index in range(size(domains) or 0)]


def sample(space: Mapping[str, Any], n: int, *, seed: int) -> list[dict[str, Any]]:
    """`n` combinations at random: different ones, and all of them if there are fewer.

    Args:
        space: The values of each parameter.
        n: How many, at least 1.
        seed: The same one gives the same combinations.

    Raises:
        InvalidInput: If there is no parameter, or one without a value, or n is below 1.

    Examples:
        >>> sample({"a": range(1000), "b": range(1000)}, 2, seed=0)
        [{'a': 885, 'b': 440}, {'a': 403, 'b': 958}]
    """
    if n < 1:
        msg = f"expected at least one trial, got {n}"
        raise InvalidInput(msg)
    domains = space_of(space)
    n_combinations = size(domains)
    if n_combinations is not None and n_combinations < _MANY:
        chosen = random.Random(seed).sample(range(n_combinations), min(n, n_combinations))
        return [combination(domains, index) for index in chosen]
    return [_drawn(domains, random.Random(f"{seed}/{position}")) for position in range(n)]


def combination(space: Space, index: int) -> dict[str, Any]:
    """The combination at a place of the grid, without making the others."""
    chosen = {}
    for name, domain in reversed(list(space.items())):
        values = values_of(domain) or ()
        index, digit = divmod(index, len(values))
        chosen[name] = values[digit]
    return {name: chosen[name] for name in space}


def examples(space: Space) -> list[dict[str, Any]]:
    """Combinations in which every value that is named, and each end of a range, occurs.

    Examples:
        >>> examples(space_of({"a": "1..9", "b": "x,y,z"}))
        [{'a': 1, 'b': 'x'}, {'a': 9, 'b': 'y'}, {'a': 1, 'b': 'z'}]
    """
    ends = {
        name: domain.values if isinstance(domain, Choices) else _ends(domain)
        for name, domain in space.items()
    }
    longest = max(len(values) for values in ends.values())
    return [
        {name: values[i % len(values)] for name, values in ends.items()} for i in range(longest)
    ]


def refuse_uncountable(space: Space) -> None:
    """Refuse a grid that would have no end.

    Raises:
        InvalidInput: If the values of a parameter cannot be counted.
    """
    for name, domain in space.items():
        if values_of(domain) is None:
            msg = f"a grid cannot have every value of the parameter {name!r}"
            hint = "give the range a step (0..1:0.1), or --sampler random"
            raise InvalidInput(msg, hint=hint)


def _drawn(space: Space, chance: random.Random) -> dict[str, Any]:
    return {name: value_at(domain, chance.random()) for name, domain in space.items()}


def _ends(domain: Range) -> tuple[Any, Any]:
    return value_at(domain, 0.0), value_at(domain, math.nextafter(1.0, 0.0))


def _log_value(domain: Range, share: float) -> Any:
    # whole numbers are rounded, so that both ends reach as far as the others
    edge = 0.5 if domain.is_whole else 0.0
    low, high = math.log(domain.low - edge), math.log(domain.high + edge)
    value = min(max(math.exp(low + share * (high - low)), domain.low), domain.high)
    return min(max(round(value), int(domain.low)), int(domain.high)) if domain.is_whole else value


class _Stepped(Sequence[float]):
    """The values of a range with a step, made when they are asked for."""

    def __init__(self, domain: Range) -> None:
        self._low, self._step = domain.low, domain.step or 1.0
        self._n = n_steps(domain)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:
        value = self._low + range(self._n)[index] * self._step
        return float(f"{value:.12g}")  # 0.3, not 0.30000000000000004


def _plain(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _choices(name: str, given: list[Any]) -> Choices:
    try:
        values = msgspec.to_builtins(given)  # as they come back from the store: tuples as lists
    except TypeError as error:
        msg = f"the parameter {name!r} is to have a value that JSON does not hold: {error}"
        raise InvalidInput(msg, hint="numbers, texts, true, false, null, lists of them") from None
    if not values or values == [""]:
        msg = f"the parameter {name!r} has no value to try"
        raise InvalidInput(msg, hint=f"--try {name}=1,2,3")
    ((often, times),) = Counter(map(repr, values)).most_common(1)
    if times > 1:
        msg = f"the parameter {name!r} is to have the value {often} {times} times"
        raise InvalidInput(msg, hint="the same trial again shows nothing new")
    return Choices(values=tuple(values))


def _range(name: str, low: str, high: str, spacing: str | None) -> Range:
    step = None if spacing in (None, "log") else float(str(spacing))
    texts = [low, high] if step is None else [low, high, str(spacing)]
    found = Range(
        low=float(low),
        high=float(high),
        is_whole=all(text.lstrip("+-").isdigit() for text in texts),
        step=step,
        is_log=spacing == "log",
    )
    if problem := _problem(found):
        shown = f"{low}..{high}" + (f":{spacing}" if spacing else "")
        msg = f"the parameter {name!r}: {shown} is no range: {problem}"
        raise InvalidInput(msg, hint=_FORMS)
    return found


def _problem(found: Range) -> str:
    if not (math.isfinite(found.low) and math.isfinite(found.high)):
        return "its ends are not finite"
    if found.low >= found.high:
        return "it ends where it begins, or before"
    if found.is_whole and max(abs(found.low), abs(found.high)) > _EXACT:
        return "whole numbers are exact up to 2**53"
    if found.is_log and found.low <= 0:
        return "a logarithmic range begins above 0"
    if found.step is not None and not 0 < found.step <= found.high - found.low:
        return "its step is above 0, and within it"
    return ""
