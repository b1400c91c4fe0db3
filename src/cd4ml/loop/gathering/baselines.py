"""What baselines say about the holdout: the champion, named versions, seasons."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cd4ml.errors import InvalidInput
from cd4ml.gates.baseline import season_in
from cd4ml.gates.season import last_season
from cd4ml.loop.candidate import project_modules, runtime_of
from cd4ml.loop.gathering.asked import Asked
from cd4ml.loop.refs import version_in
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import rows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Scores = NDArray[np.float64]

_log = logging.getLogger(__name__)


def scored(asked: Asked) -> dict[str, Scores]:
    """The answers of the champion and of each version that the policy names, by its name.

    One that fails on these rows is left out.

    Raises:
        NotFound: If there is no such version.
    """
    said: dict[str, Scores] = {}
    for version in _compared(asked):
        try:
            with project_modules(asked.project):
                said[version.ref] = runtime_of(asked.project, version).score_frame(asked.holdout)
        except Exception:  # a comparison with what could not be scored is an error of its gate
            _log.exception("%s could not be scored on the holdout", version.ref)
    return said


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
