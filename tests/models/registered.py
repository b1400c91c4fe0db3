"""A project with registered versions that answer, for tests of what takes them away."""

from pathlib import Path
from typing import Any, Self

from cd4ml.models.manifest import CONTRACT, Manifest
from cd4ml.records.actor import Actor
from cd4ml.records.contract import Contract
from cd4ml.records.model_version import Alias, ModelVersion, RegisteredModel
from cd4ml.records.run import StepRun
from cd4ml.store import ledger, rows
from cd4ml.store.project import open_project
from cd4ml.store.tables import TABLES
from tests.models.builders import AT
from tests.models.builders import CONTRACT as REQUEST
from tests.serving.builders import Released


class Registered(Released):
    """A project whose versions of `delay` are registered, and have names."""

    def __init__(self, folder: Path, sqlite_template: Path) -> None:
        super().__init__(folder, sqlite_template)
        (folder / "pipeline.py").write_text("")
        with self.project.database.write() as connection:
            for name in ("ann", "bo"):
                person = Actor(name=name, kind="person", added_at=AT, added_by="ann")
                rows.put(connection, person)
                ledger.append(
                    connection,
                    at=AT,
                    actor="ann",
                    action="person.added",
                    subject=name,
                    records=(person,),
                )
            rows.put(
                connection,
                RegisteredModel(name="delay", created_at=AT, created_by="ann", changed_at=AT),
            )

    @classmethod
    def at(cls, folder: Path) -> Self:
        """A copy of such a project."""
        made = cls.__new__(cls)
        made.folder, made.project, made._n_plans = folder, open_project(folder), 0
        return made

    def registered(self, number: int) -> ModelVersion:
        """One version."""
        with self.project.database.read() as connection:
            return rows.get(connection, ModelVersion, "delay", number)

    def unpoint(self, alias: str) -> None:
        """Take an alias away."""
        with self.project.database.write() as connection:
            connection.execute(TABLES[Alias].delete().where(TABLES[Alias].c.name == alias))

    def distrust(self, address: str) -> None:
        """Forget that a run made these bytes."""
        with self.project.database.write() as connection:
            steps = TABLES[StepRun]
            connection.execute(steps.delete().where(steps.c.output == address))

    def version(self, estimator: Any, *, contract: Contract = REQUEST) -> ModelVersion:
        """The next version of `delay`."""
        return self.version_of(self.model(estimator, contract=contract))

    def version_of(self, artifact: str) -> ModelVersion:
        """The next version of `delay`, of a model that was packaged."""
        manifest = self.project.blobs.get_record(artifact, Manifest)
        with self.project.database.write() as connection:
            number = len(rows.find(connection, ModelVersion)) + 1
            made = ModelVersion(
                model="delay",
                number=number,
                run=0,
                verdict=0,
                artifact=artifact,
                contract=manifest.files[CONTRACT],
                created_at=AT,
                created_by="ann",
            )
            rows.insert(connection, made)
        return made

    def point(self, alias: str, number: int) -> None:
        """Move an alias, as a release would."""
        moved = Alias(model="delay", name=alias, number=number, moved_at=AT, moved_by="ann")
        with self.project.database.write() as connection:
            rows.put(connection, moved)
