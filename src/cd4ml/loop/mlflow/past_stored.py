"""Files of a history, stored: of runs and logged models where they lie, of versions by source."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from cd4ml.engines.mlflow.past import PastVersion
from cd4ml.loop.mlflow.brought import Brought
from cd4ml.loop.mlflow.past_files import FilesThere
from cd4ml.records.logged_model import ForeignRun, LoggedModel, LoggedModelFile
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.store import rows

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from cd4ml.store.project import Project

Files = dict[str, tuple[str, int]]  # path -> content address and size

_OF_RUN, _OF_MODEL = "runs:/", "models:/"


class StoredFiles:
    """Stores what may be read of a history's files.

    Args:
        project: Where to.
        there: Where they lie.
        report: Is told what is left.
    """

    def __init__(self, project: Project, there: FilesThere, report: Brought) -> None:
        self._project = project
        self._there = there
        self._report = report

    def files(self, place: str, whose: str, owners: Collection[str]) -> Files:
        """Store the files that lie at a place.

        Args:
            place: As MLflow has it.
            whose: For the report.
            owners: Ids of the runs and logged models among whose artifacts it may lie.
        """
        listed = self._there.files(place, owners)
        for reason in listed.left:
            self._report.leave(f"files of {whose}: {reason}")
        found = {}
        for name, path in listed.files.items():
            try:
                found[name] = (self._project.blobs.put_file(path), path.stat().st_size)
            except OSError as error:
                self._report.leave(f"files of {whose}: {name}: {error.strerror}")
        self._report.files += len(found)
        return found

    def of_version(self, past: PastVersion, owners: Collection[str]) -> Files:
        """Of a logged model or a run as they came over, or where MLflow says that they lie."""
        whose = f"version {past.model}/{past.number}"
        with self._project.database.read() as connection:
            found = _of_model(connection, past.source.removeprefix(_OF_MODEL))
            if found:
                return found
            if past.artifacts.startswith(_OF_RUN):
                found = _of_run(connection, past.artifacts.removeprefix(_OF_RUN))
                if not found:
                    self._report.leave(f"files of {whose}: nothing lies at {past.artifacts}")
                return found
        return self.files(past.artifacts, whose, owners)


def number_of(connection: Connection, id: str) -> int:
    """The number of the run that was brought over with an id; 0 for none."""
    found = rows.find(connection, ForeignRun, id=id) if id else []
    return found[0].run if found else 0


def _of_model(connection: Connection, id: str) -> Files:
    files = rows.find(connection, LoggedModelFile, model=id)
    return {each.path: (each.address, each.n_bytes) for each in files}


def _of_run(connection: Connection, place: str) -> Files:
    """The files of a run, or of a model that it logged, at `ID/PATH`."""
    id, _, path = place.strip("/").partition("/")
    number = number_of(connection, id)
    if not number:
        return {}
    before = f"{path}/" if path else ""
    found = {
        each.path.removeprefix(before): (each.address, each.n_bytes)
        for each in rows.find(connection, RunArtifact, run=number)
        if each.path.startswith(before)
    }
    for model in rows.find(connection, LoggedModel, run=number, name=path):
        found = found or _of_model(connection, model.id)
    return found
