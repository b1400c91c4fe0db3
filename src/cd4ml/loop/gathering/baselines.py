"""What baselines say about the holdout: the champion, named versions, seasons."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput
from cd4ml.gates.baseline import season_in
from cd4ml.gates.season import last_season
from cd4ml.loop.candidate import runtime_of
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.refs import version_in
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]


def scored(asked: Asked) -> dict[str, Scores]:
    """The answers of the champion and of each version that the policy names, by its name.

    Raises:
        NotFound: If there is no such version.
    """
    versions = {version.ref: version for version in _compared(asked)}
    return {
        ref: runtime_of(asked.project, version).score_frame(asked.holdout)
        for ref, version in versions.items()
    }


def seasonal(asked: Asked) -> tuple[dict[str, Scores], dict[str, str]]:
    """The answers of each season that the policy names, and why one has none."""
    settings = asked.project.settings.model
    said: dict[str, Scores] = {}
    missing: dict[str, str] = {}
    for name in asked.policy.baselines:
        season = season_in(name)
        if season is not None:
            try:
                said[name] = last_season(
                    asked.training,
                    asked.holdout,
                    season,
                    target=settings.target,
                    event_time=settings.event_time,
                )
            except InvalidInput as error:
                missing[name] = error.message
    return said, missing


def _compared(asked: Asked) -> list[ModelVersion]:
    with asked.project.database.read() as connection:
        named = [
            rows.get(connection, ModelVersion, *version_in(ref)) for ref in asked.policy.versions
        ]
    return [*named, *([asked.champion] if asked.champion else [])]
