"""What several processes count, as one text for Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_SMALLEST = "cd4ml_plan"  # what all of them have reached; 0: one has none yet
_SHARE = re.compile("_seconds$|_per_")  # what cannot be added up: ages and ratios


@dataclass(slots=True)
class _Family:
    """One metric: what is said about it, and its values by name with labels."""

    kind: str = "untyped"
    said: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    def take(self, sample: str, value: float) -> None:
        known = self.values.get(sample)
        name = sample.partition("{")[0]
        if not known or (name == _SMALLEST and not value):
            self.values[sample] = known or value
        elif name == _SMALLEST:
            self.values[sample] = min(known, value)
        elif self.kind == "gauge" and _SHARE.search(name):
            self.values[sample] = max(known, value)
        else:
            self.values[sample] = known + value


def merged(living: Iterable[str], ended: Iterable[str] = ()) -> str:
    r"""One text of several in Prometheus' text format.

    What is counted is added up, also of processes that have ended: a counter that shrinks when
    one of them ends would look as if it had begun anew. Gauges are the living's: sizes are added
    up, of ages and ratios the largest holds, and the smallest plan.

    Examples:
        >>> one = '# TYPE n counter\nn{status="200"} 2\n# TYPE cd4ml_plan gauge\ncd4ml_plan 3\n'
        >>> print(merged([one, one.replace("3", "4")], ended=[one]), end="")
        # TYPE n counter
        n{status="200"} 6
        # TYPE cd4ml_plan gauge
        cd4ml_plan 3
    """
    families: dict[str, _Family] = {}
    for text in living:
        _add(families, text, is_living=True)
    for text in ended:
        _add(families, text, is_living=False)
    return "".join(line for family in families.values() for line in _lines(family))


def _add(families: dict[str, _Family], text: str, *, is_living: bool) -> None:
    family = _Family()
    for line in text.splitlines():
        if line.startswith("# "):
            word, name, *rest = line[2:].split(" ", 2)
            family = families.setdefault(name, _Family())
            if line not in family.said:
                family.said.append(line)
            if word == "TYPE" and rest:
                family.kind = rest[0]
        elif line and (is_living or family.kind != "gauge"):
            sample, _, value = line.rpartition(" ")
            family.take(sample, float(value))


def _lines(family: _Family) -> Iterator[str]:
    yield from (f"{line}\n" for line in family.said)
    for sample, value in family.values.items():
        yield f"{sample} {int(value) if value.is_integer() else value}\n"
