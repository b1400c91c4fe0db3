"""A packaged model that answers rows: verified, checked against its contract, tried."""

from __future__ import annotations

import hashlib
import json
import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from types import SimpleNamespace
from typing import Any, Literal, overload

from cd4ml.errors import InvalidInput
from cd4ml.models.complaints import place_of
from cd4ml.models.leniency import (
    LISTED,
    ContractWarning,
    Mend,
    Warned,
    is_lenient,
    mender,
    said,
    warnings_of,
)
from cd4ml.models.plain import plain
from cd4ml.models.violations import Violation, violations_of, with_integers
from cd4ml.serving.packaging.embedded.explaining import Explained, Explainer

_LISTED = 100  # violations in one error
_APART = (
    1e-4  # by how much the parts of an answer may miss it: compiled models are of single precision
)

RECIPE = "explainer.bin"  # of what takes answers apart

Score = Callable[[Sequence[Sequence[Any]]], list[float]]
OpenScorer = Callable[[Path, Sequence[Any]], Score]


class ContractViolated(ValueError):
    """Rows that do not keep the contract; `violations` has what is wrong, at most 100 of it."""

    def __init__(self, message: str, violations: tuple[Violation, ...]) -> None:
        super().__init__(message)
        self.violations = violations


class ModelFailed(RuntimeError):
    """The model could not answer a row that keeps its contract.

    `message` says which model, `reason` why it is thought so, without values of the row.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(f"{message}: {reason}")
        self.message = message
        self.reason = reason


class Damaged(RuntimeError):
    """A file of the model is not what was packaged, or other libraries answer otherwise."""


class Model:
    """The model in a folder, loaded when it is first asked. Safe to share between threads.

    Args:
        folder: With the model's files.
        ref: What it is called, `delay/3`.
        digests: File -> its SHA-256, in hexadecimal digits.
        tolerance: By how much an answer may differ from that where it was packaged.
        packaged_with: The libraries there, in words.
        open_scorer: Makes what answers, from the folder and the contract's fields.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ref: str,
        digests: Mapping[str, str],
        tolerance: float,
        packaged_with: str,
        open_scorer: OpenScorer,
    ) -> None:
        self._folder = folder
        self._ref = ref
        self._digests = digests
        self._tolerance = tolerance
        self._packaged_with = packaged_with
        self._open_scorer = open_scorer
        self._loading = Lock()
        self._mend: Mend | None = None
        self._explainer: Explainer | None = None
        self._lenient: tuple[Any, ...] = ()
        self._loaded: tuple[dict[str, Any], tuple[Any, ...], Score] | None = None

    @property
    def contract(self) -> dict[str, Any]:
        """What rows must keep, as plain data."""
        return self._load()[0]

    @overload
    def predict(
        self, row: Mapping[str, Any], *, contributions: Literal[False] = False
    ) -> float: ...
    @overload
    def predict(self, row: Mapping[str, Any], *, contributions: Literal[True]) -> Explained: ...
    def predict(self, row: Mapping[str, Any], *, contributions: bool = False) -> float | Explained:
        """The answer to one row: the probability of the second class, or the predicted value.

        What the contract forgives is scored as it says, and a `ContractWarning`. With
        `contributions` the answer comes taken apart into what each field added to it.

        Raises:
            ContractViolated: With everything that is wrong with the row.
            ModelFailed: If the model breaks on it, or the parts add up to another answer.
            Damaged: If the model is not what was packaged.
        """
        _, fields, _ = self._load()
        row = with_integers(fields, plain(row))
        self._refuse(violations_of(fields, row))
        self._warn([row])
        answers = self._score([row])
        return self._taken_apart([row], answers)[0] if contributions else answers[0]

    @overload
    def predict_many(
        self, rows: Sequence[Mapping[str, Any]], *, contributions: Literal[False] = False
    ) -> list[float]: ...
    @overload
    def predict_many(
        self, rows: Sequence[Mapping[str, Any]], *, contributions: Literal[True]
    ) -> list[Explained]: ...
    def predict_many(
        self, rows: Sequence[Mapping[str, Any]], *, contributions: bool = False
    ) -> list[float] | list[Explained]:
        """The answer to each row; raises as `predict` does."""
        _, fields, _ = self._load()
        rows = [with_integers(fields, plain(row)) for row in rows]
        self._refuse(
            [
                found
                for i, row in enumerate(rows)
                for found in violations_of(fields, row, f"$.rows[{i}]")
            ]
        )
        self._warn(rows)
        answers = self._score(rows) if rows else []
        return self._taken_apart(rows, answers) if contributions and rows else answers

    def warnings_of(self, rows: Sequence[Mapping[str, Any]]) -> list[Warned]:
        """What the contract forgives in rows that `predict_many` answers, at most 100 of it."""
        _, fields, _ = self._load()
        return warnings_of(self._lenient, [with_integers(fields, plain(row)) for row in rows])[
            :LISTED
        ]

    def _warn(self, rows: Sequence[Mapping[str, Any]]) -> None:
        found = warnings_of(self._lenient, rows) if self._lenient else []
        for words in dict.fromkeys(map(said, found)):
            warnings.warn(words, ContractWarning, stacklevel=3)

    def _refuse(self, found: list[Violation]) -> None:
        if not found:
            return
        n, name = len(found), self._load()[0]["name"]
        msg = f"the request does not keep the contract {name!r}: {n} violation{'s' * (n > 1)}"
        if n > _LISTED:
            msg += f", the first {_LISTED} are listed"
        raise ContractViolated(msg, tuple(found[:_LISTED]))

    def _score(self, rows: Sequence[Mapping[str, Any]]) -> list[float]:
        _, fields, score = self._load()
        msg = f"the model {self._ref} failed on a request that keeps its contract"
        try:
            answers = score(self._mended(_values(fields, rows)))
        except Exception as error:  # whatever an estimator raises
            raise ModelFailed(msg, _reason(error)) from error
        if len(answers) != len(rows):
            raise ModelFailed(msg, f"it gave {len(answers):,} answers to {len(rows):,} rows")
        wrong = next((answer for answer in answers if not math.isfinite(answer)), None)
        if wrong is not None:
            raise ModelFailed(msg, f"it answered {wrong}, which is no finite number")
        return answers

    def _mended(self, values: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return values if self._mend is None else [self._mend(row) for row in values]

    def _taken_apart(
        self, rows: Sequence[Mapping[str, Any]], answers: Sequence[float]
    ) -> list[Explained]:
        contract, fields, score = self._load()
        if self._explainer is None:
            file = self._folder / RECIPE
            known = json.loads((self._folder / "probes.json").read_text("utf-8"))
            self._explainer = Explainer(
                file.read_bytes() if RECIPE in self._digests else b"",
                [field["name"] for field in contract["fields"]],
                score=score,
                usual=self._mended(_values(fields, known["rows"])),
            )
        asked = _values(fields, rows)
        try:
            found = self._explainer.explained(asked, self._mended(asked), answers)
        except Exception as error:  # whatever an estimator raises
            msg = f"the model {self._ref} failed while its answers were taken apart"
            raise ModelFailed(msg, _reason(error)) from error
        for each in found:
            if not abs(each.of_parts - each.answer) <= _APART * max(1.0, abs(each.answer)):
                msg = f"the model {self._ref} failed while its answers were taken apart"
                reason = f"the parts add up to {each.of_parts:.6g}, not to {each.answer:.6g}"
                raise ModelFailed(msg, reason)
        return found

    def _load(self) -> tuple[dict[str, Any], tuple[Any, ...], Score]:
        if self._loaded is None:
            with self._loading:
                if self._loaded is None:
                    self._loaded = self._opened()
        return self._loaded

    def _opened(self) -> tuple[dict[str, Any], tuple[Any, ...], Score]:
        self._verify()
        contract = json.loads((self._folder / "contract.json").read_text("utf-8"))
        fields = tuple(_field(each) for each in contract["fields"])
        score = self._open_scorer(self._folder, fields)
        self._try(fields, score)
        self._mend = mender(fields)
        self._lenient = tuple(filter(is_lenient, fields))
        return contract, fields, score

    def _verify(self) -> None:
        for name, expected in self._digests.items():
            found = hashlib.sha256((self._folder / name).read_bytes()).hexdigest()
            if found != expected:
                msg = f"{name} of the model {self._ref} is not what was packaged; install it again"
                raise Damaged(msg)

    def _try(self, fields: tuple[Any, ...], score: Score) -> None:
        known = json.loads((self._folder / "probes.json").read_text("utf-8"))
        rows = [tuple(row.get(field.name) for field in fields) for row in known["rows"]]
        pairs = zip(score(rows), known["scores"], strict=True)
        difference = max(abs(here - there) / max(1.0, abs(there)) for here, there in pairs)
        if not difference <= self._tolerance:
            msg = (
                f"the model {self._ref} answers differently here: by {difference:.2g}, more than"
                f" {self._tolerance:g}; it was packaged with {self._packaged_with}"
            )
            raise Damaged(msg)


def _reason(error: Exception) -> str:
    """Words of cd4ml's own tell no value of a row; those of an estimator may."""
    return error.message if isinstance(error, InvalidInput) else place_of(error)


def _field(said: dict[str, Any]) -> Any:
    return SimpleNamespace(**said | {"categories": tuple(said["categories"])})


def _values(fields: Sequence[Any], rows: Sequence[Mapping[str, Any]]) -> list[tuple[Any, ...]]:
    """Rows as tuples in the order of the contract's fields; what they lack is None."""
    return [tuple(row.get(field.name) for field in fields) for row in rows]
