"""A project whose whole policy makes sense: said when it is opened, not when it is needed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.errors import ConfigurationError
from cd4ml.store.project import Project
from cd4ml.store.project import open_project as read_project

if TYPE_CHECKING:
    from cd4ml.records.settings import Settings


def open_project(folder: Path | None = None) -> Project:
    """The project in a folder, or in the nearest folder above it that has a `cd4ml.toml`.

    Args:
        folder: Where to begin; CD4ML_PROJECT or the working directory by default.

    Raises:
        ProjectNotFound: If there is none, or no such folder.
        ConfigurationError: If the file is not as it should be, or no project can mean what it
            says: a gate that cannot be asked, a rollout that could not end.
    """
    project = read_project(folder)
    _refuse_impossible(project.settings)
    return project


def _refuse_impossible(settings: Settings) -> None:
    if settings.gate:  # else nobody waits for the import of what would judge it
        from cd4ml.gates.policy import policy_of

        policy_of(settings.gate, settings.model.key)
    if settings.environments:
        from cd4ml.release.environments import require_possible

        require_possible(settings.environments)
    _refuse_unwatchable(settings.monitoring.metrics)


def _refuse_unwatchable(metrics: Iterable[str]) -> None:
    from cd4ml.measures.named import NAMED

    watched = sorted(name for name, each in NAMED.items() if each.constant is not None)
    for metric in metrics:
        if metric not in NAMED:
            msg = f"cd4ml.toml: there is no measure named {metric!r} - at `monitoring.metrics`"
            raise ConfigurationError(msg, hint=f"known: {', '.join(watched)}")
        if metric not in watched:
            msg = f"cd4ml.toml: {metric} cannot be watched: one answer for all is no baseline of it"
            hint = f"watch one of {', '.join(watched)}"
            raise ConfigurationError(f"{msg} - at `monitoring.metrics`", hint=hint)
