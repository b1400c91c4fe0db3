"""Everything that one plan answers with, put together once and never changed."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from cd4ml import errors
from cd4ml.models.assignment import canary_of, champion_of, position, shadows
from cd4ml.models.complaints import Complaints, times
from cd4ml.models.contract import CompiledContract
from cd4ml.models.pace import Pace
from cd4ml.models.runtime import Runtime
from cd4ml.records.plan import Arm, Plan
from cd4ml.serving.answers import Answer, Answers, Score, Version
from cd4ml.serving.lines import said, told
from cd4ml.serving.request import RequestReader, Row
from cd4ml.store.masking import discreet

__all__ = ["Answer", "Answers", "Endpoint", "ModelFailed", "Version", "build", "scores"]

_log = logging.getLogger(__name__)

_is_quick = attrgetter("is_quick")
_complaints = Complaints()


class ModelFailed(errors.ModelFailed):
    """The version in charge could not answer a request that keeps its contract."""

    def __init__(self, arm: Arm) -> None:
        self.arm = arm
        msg = f"the model {arm.ref} failed on a request that keeps its contract"
        super().__init__(msg, hint="nothing was answered; the server's log has the reason")


@dataclass(frozen=True, slots=True, eq=False)
class Endpoint:
    """A plan with its versions loaded. A request takes it once and is answered by it whole."""

    plan: Plan
    contract: CompiledContract
    reader: RequestReader
    champion: Version
    canary: Version | None
    shadows: tuple[Version, ...]
    example: dict[str, Any]  # a row of those that the champion was packaged with
    runtimes: dict[str, Runtime]  # by artifact, so that the next plan need not load them again
    paces: tuple[Pace, ...] = ()  # of champion and canary

    def answers(self, rows: list[Row], keys: list[str]) -> Answers:
        """The answers to each row, last the one that counts; before it that of a failed canary.

        Raises:
            ModelFailed: If the champion fails on a row.
        """
        if self.canary is None:
            return Answers(self.champion, self._by_champion(rows))
        weight, release = self.canary.arm.weight_percent, self.plan.release
        tried = [i for i, key in enumerate(keys) if position(release, key) < weight]
        given = dict(zip(tried, scores(self.canary, [rows[i] for i in tried]), strict=True))
        rest = [i for i in range(len(rows)) if given.get(i) is None]
        failed = {i: self.canary for i in rest if i in given}
        versions = [self.canary] * len(rows)
        for i, score in zip(rest, self._by_champion([rows[i] for i in rest]), strict=True):
            given[i], versions[i] = score, self.champion
        return Answers(versions, [given[i] for i in range(len(rows))], failed)

    @property
    def is_quick(self) -> bool:
        """Whether those that answer take so little time that others may wait for them meanwhile."""
        return all(map(_is_quick, self.paces))

    def _by_champion(self, rows: list[Row]) -> list[Score]:
        answered = scores(self.champion, rows)
        if None in answered:
            raise ModelFailed(self.champion.arm)
        return answered


def build(plan: Plan, runtimes: dict[str, Runtime]) -> Endpoint:
    """Put a plan and its loaded models together; requests keep the champion's contract.

    Raises:
        InvalidInput: If a version needs a field that the champion's contract lacks.
    """
    champion, canary = champion_of(plan), canary_of(plan)
    contract = CompiledContract(runtimes[champion.artifact].contract)

    def version(arm: Arm) -> Version:
        runtime = runtimes[arm.artifact]
        values = contract.getter_for(runtime.contract)
        return Version(
            arm,
            values,
            runtime.score_values,
            told=told(plan, arm),
            said=said(plan, arm),
            explainer=runtime.explainer,
        )

    return Endpoint(
        plan=plan,
        contract=contract,
        reader=RequestReader(contract),
        champion=version(champion),
        canary=None if canary is None else version(canary),
        shadows=tuple(version(arm) for arm in shadows(plan)),
        example=runtimes[champion.artifact].example,
        runtimes=runtimes,
        paces=tuple(runtimes[a.artifact].pace for a in (champion, canary) if a is not None),
    )


def scores(version: Version, rows: list[Row]) -> list[Score]:
    """The version's score of each row; None where it fails or its score is not finite."""
    if not rows:
        return []
    try:
        answered = version.score(list(map(version.values, rows)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a panic and `exit`, too: one row must not fail the others
        if len(rows) > 1:
            return [score for row in rows for score in scores(version, [row])]
        _log.error("%s failed on %s\n%s", version.arm.ref, *discreet(rows[0], error))
        return [None]
    if all(map(math.isfinite, answered)):
        return answered  # type: ignore[return-value]
    _say_not_finite(version.arm, answered)
    return [score if math.isfinite(score) else None for score in answered]


def _say_not_finite(arm: Arm, answered: list[float]) -> None:
    wrong = next(score for score in answered if not math.isfinite(score))
    if n := _complaints.due((arm.artifact, str(wrong))):
        msg = "%s answered %s, which is no finite number, to a request that keeps its contract%s"
        _log.error(msg, arm.ref, wrong, times(n))
