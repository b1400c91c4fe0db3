"""What each field adds to an answer.

Exactly, where the model was taken apart when it was packaged; else by asking it about mixtures of
the row with those that it was packaged with.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from cd4ml.models.encoding import Codes, Encoding, Indicators, Number, encoder, fields_of
from cd4ml.models.explain.adding import Linear, Trees, adding
from cd4ml.models.explain.mixtures import Floats, Rows, mixed_parts
from cd4ml.models.explain.tree_paths import Paths

_ENTRIES: dict[str, Any] = {"number": Number, "codes": Codes, "indicators": Indicators}
_LINKS: dict[str, Callable[[float], float]] = {
    "answer": lambda raw: raw,
    "log-odds": lambda raw: float(0.5 * (1 + np.tanh(raw / 2))),
    "logarithm": lambda raw: float(np.exp(raw)),
}

Split = Callable[[Rows], tuple[Floats, float]]  # rows -> what each field adds, and the base


@dataclass(frozen=True, slots=True)
class Contribution:
    """What one field of a row adds to the raw answer."""

    field: str
    value: Any
    amount: float


@dataclass(frozen=True, slots=True)
class Explained:
    """An answer taken apart: `base` and all amounts add up to `raw`, of which it is a function.

    `unit` is `answer` (`raw` itself), `log-odds` or `logarithm`; `method` is `linear`, `trees` or
    `sampled`.
    """

    answer: float
    raw: float
    base: float
    unit: str
    method: str
    contributions: tuple[Contribution, ...]

    @property
    def of_parts(self) -> float:
        """The answer that the parts give."""
        return _LINKS[self.unit](self.raw)


class Explainer:
    """Takes answers apart; safe to share between threads.

    Args:
        recipe: As `explain.taken_along` wrote it; b"" without one.
        names: Of the contract's fields.
        score: The model's answers to rows of values.
        usual: Rows of values that it was packaged with.
    """

    def __init__(
        self,
        recipe: bytes,
        names: Sequence[str],
        *,
        score: Callable[[Rows], Sequence[float]],
        usual: Rows,
    ) -> None:
        self._names = names
        self._unit, self._method = "answer", "sampled"
        self._split: Split = lambda rows: mixed_parts(score, rows, usual)
        self._has_column = np.ones(len(names), np.bool_)
        if recipe:
            self._read(recipe)

    def explained(self, asked: Rows, scored: Rows, answers: Sequence[float]) -> list[Explained]:
        """Answers taken apart, the largest parts first.

        Args:
            asked: Rows of values as they came.
            scored: As the contract has them scored.
            answers: To them.
        """
        amounts, base = self._split(scored)
        rows = zip(asked, amounts.tolist(), answers, strict=True)
        return [self._one(row, added, base, answer) for row, added, answer in rows]

    def _one(self, row: Sequence[Any], added: list[float], base: float, answer: float) -> Explained:
        order = sorted(range(len(added)), key=lambda i: -abs(added[i]))
        return Explained(
            answer=answer,
            raw=base + sum(added),
            base=base,
            unit=self._unit,
            method=self._method,
            contributions=tuple(
                Contribution(self._names[i], row[i], added[i]) for i in order if self._has_column[i]
            ),
        )

    def _read(self, recipe: bytes) -> None:
        head, _, arrays = recipe.partition(b"\n")
        said = json.loads(head)
        self._unit, self._method = said["unit"], said["of"].pop("type")
        plain = said["encoding"]
        entries = tuple(_ENTRIES[each.pop("type")](**each) for each in plain.pop("entries"))
        encoding = Encoding(entries=entries, **plain)
        encode = encoder(encoding, self._names)
        fields = fields_of(encoding, self._names)
        add = adding(_of(self._method, said["of"], arrays))

        def split(rows: Rows) -> tuple[Floats, float]:
            amounts, base = add(encode(rows))
            return amounts @ fields, base

        self._split, self._has_column = split, fields.sum(axis=0) > 0


def _of(method: str, said: dict[str, Any], arrays: bytes) -> Linear | Trees:
    if method == "linear":
        return Linear(**said)
    paths, start = dict(said.pop("paths")), 0
    for name in ("values", "columns", "low", "high", "takes_missing", "shares", "codes"):
        end = start + paths[name]
        paths[name] = arrays[start:end]
        start = end
    return Trees(paths=Paths(**paths), **said)
