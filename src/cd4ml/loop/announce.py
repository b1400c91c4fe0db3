"""Tell others of runs, where somebody asked for it; a run neither waits for it nor fails."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from cd4ml.pipeline.revision import repository_of
from cd4ml.records.run import Run
from cd4ml.store.project import Project

if TYPE_CHECKING:
    from cd4ml.engines.openlineage.courier import Courier
    from cd4ml.engines.openlineage.events import State, Teller

URL, DISABLED, NAMESPACE = "OPENLINEAGE_URL", "OPENLINEAGE_DISABLED", "OPENLINEAGE_NAMESPACE"
API_KEY = "OPENLINEAGE_API_KEY"

_log = logging.getLogger(__name__)


class Announcements:
    """Says when runs of a project begin and end."""

    def __init__(self, project: Project, courier: Courier, teller: Teller) -> None:
        self._project = project
        self._courier = courier
        self._teller = teller

    def began(self, run: Run) -> None:
        """A run is recorded, and begins."""
        self._tell(run, "START")

    def ended(self, run: Run) -> None:
        """A run is recorded as finished or failed."""
        self._tell(run, "FAIL" if run.state == "failed" else "COMPLETE")

    def _tell(self, run: Run, state: State) -> None:
        from cd4ml.engines.openlineage.events import run_event

        try:
            with self._project.database.read() as connection:
                event = run_event(connection, run, state, self._teller)
        except Exception:  # a bug here must not end somebody's run
            _log.exception("the OpenLineage event %s of %s could not be made", state, run.ref)
            return
        self._courier.send(event)


def announcements(project: Project) -> Announcements | None:
    """What tells of the project's runs; None if nobody asked for it.

    OPENLINEAGE_URL takes precedence over `[lineage] openlineage`; OPENLINEAGE_DISABLED=true
    silences both.

    Raises:
        ConfigurationError: If the target cannot be one, or OpenLineage is not installed.
    """
    target = os.environ.get(URL) or project.settings.lineage.openlineage
    if not target or os.environ.get(DISABLED, "").lower() in ("1", "true"):
        return None
    from cd4ml.engines.openlineage.courier import courier

    kept = project.state / "openlineage"
    return Announcements(
        project,
        courier(_absolute(project, target), kept=kept, api_key=os.environ.get(API_KEY, "")),
        _teller(project),
    )


def _absolute(project: Project, target: str) -> str:
    """The target, with a file's path below the project."""
    if not target.startswith("file:"):
        return target
    path = target.removeprefix("file:").removeprefix("//")
    return f"file:{project.folder / path}" if path else target


def _teller(project: Project) -> Teller:
    from cd4ml import __version__
    from cd4ml.engines.openlineage.events import Teller

    name = project.settings.project.name
    return Teller(
        namespace=os.environ.get(NAMESPACE) or f"cd4ml://{name}",
        job=f"{name}.{project.settings.project.pipeline}",
        repository=repository_of(project.folder),
        version=__version__,
    )
