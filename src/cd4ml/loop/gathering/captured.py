"""The newest requests that production has answered, for gates that look at them."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.gates.refusal import refused
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.watch import collect
from cd4ml.records.contract import Contract
from cd4ml.records.gate import kind_of
from cd4ml.records.settings import CaptureSettings
from cd4ml.store.masking import masked_in

if TYPE_CHECKING:
    import polars as pl

_DAYS = (1, 7, 31, 366)  # back in time, until there are enough


class Captured(NamedTuple):
    """Answered requests of one environment, the newest first, one row a request.

    `predictions` has the columns of `records.Prediction`; `inputs` is JSON text.
    """

    environment: str
    predictions: pl.DataFrame
    capture: CaptureSettings = CaptureSettings()

    def requests(self) -> list[dict[str, Any]]:
        """The requests as they are on record."""
        texts = self.predictions["inputs"].to_list()
        return [msgspec.json.decode(text) for text in texts]

    def masked(self, names: Collection[str]) -> list[set[str]]:
        """For each request, those of the fields that need not have what was asked."""
        asked = set(names)
        return [asked & masked_in(row, self.capture).keys() for row in self.requests()]

    def whole(self, names: Collection[str]) -> Captured:
        """The requests in which none of the fields is masked."""
        import polars as pl

        is_whole = pl.Series([not masked for masked in self.masked(names)], dtype=pl.Boolean)
        return self._replace(predictions=self.predictions.filter(is_whole))


def of_any(masked: Iterable[set[str]]) -> tuple[str, ...]:
    """The fields that are masked in any of some requests.

    Examples:
        >>> of_any([{"wind"}, set(), {"hour", "wind"}])
        ('hour', 'wind')
    """
    return tuple(sorted(set().union(*masked)))


def without(contract: Contract, masked: Collection[str]) -> Contract:
    """A contract's other fields: what is written for masked ones need not be of their type."""
    rest = tuple(field for field in contract.fields if field.name not in masked)
    return msgspec.structs.replace(contract, fields=rest)


def captured(asked: Asked, gates: tuple[Any, ...]) -> Captured:
    """The newest requests in the environment that the gates name, as many as the largest asks.

    Answers that shadows gave, and those of versions that failed, are not among them.

    Raises:
        ConfigurationError: If there is no such environment, or two gates name different ones.
    """
    environment = _environment(asked, gates)
    most = max(gate.requests for gate in gates)
    collect(asked.project)
    newest = _newest(asked, environment, most)
    return Captured(environment, newest, asked.project.settings.capture)


def _environment(asked: Asked, gates: tuple[Any, ...]) -> str:
    known = list(asked.project.settings.environments)
    named = {gate.environment for gate in gates} - {""}
    kind = kind_of(gates[0])
    if len(named) > 1:
        msg = f"gates of the kind {kind} name {len(named)} environments: {', '.join(sorted(named))}"
        raise refused(msg, "gate.environment", hint="a candidate is held against one of them")
    for name in named - set(known):
        hint = f"known: {', '.join(known) or 'none'}"
        raise refused(f"there is no environment {name!r}", "gate.environment", hint=hint)
    return next(iter(named), known[-1] if known else "")


def _newest(asked: Asked, environment: str, most: int) -> pl.DataFrame:
    import polars as pl

    log, now = asked.project.log, asked.project.clock.now()
    for days in (*_DAYS, None):
        start = None if days is None else now - timedelta(days=days)
        answered = (
            log.predictions(start, environment=environment)
            .filter(
                pl.col("model") == asked.candidate.model,
                pl.col("role") != "shadow",
                pl.col("score").is_not_null(),
            )
            .sort("answered_at", "prediction_id", descending=True)
            .head(most)
            .collect()
        )
        if answered.height >= most:
            break
    return answered
