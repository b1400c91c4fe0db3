"""What several processes count, as one text for Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_SMALLEST = "cd4ml_plan"  # what all of them have reached


@dataclass(slots=True)
class _Family:
    """One metric: what is said about it, and its values by name with labels."""

    kind: str = "untyped"
    said: list[str] = field(default_factory=list)
    values: dict[str, float] = field(default_factory=dict)

    def take(self, sample: str, value: float) -> None:
        known = self.values.get(sample)
        if known is None:
            self.values[sample] = value
        elif self.kind != "gauge":
            self.values[sample] = known + value
        else:
            choose = min if sample.partition("{")[0] == _SMALLEST else max
            self.values[sample] = choose(known, value)


def merged(living: Iterable[str], ended: Iterable[str] = ()) -> str:
    r"""One text of several in Prometheus' text format.

    What is counted is added up, also of processes that have ended: a counter that shrinks when
    one of them ends would look as if it had begun anew. Of gauges, which only the living have,
    the largest value holds, and the smallest plan.

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
