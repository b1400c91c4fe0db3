"""Take in what really happened, and make data of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from cd4ml.data.snapshot import snapshot_frame
from cd4ml.data.usage import VERSIONED
from cd4ml.data.versions import newest_version, publish
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.feedback import curation, labels
from cd4ml.feedback.label_files import read_labels
from cd4ml.loop.access import discreet
from cd4ml.loop.contracts import declared
from cd4ml.loop.ingest import register
from cd4ml.loop.watch import collect
from cd4ml.records.contract import Contract, Field
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.release.champion import champion_at
from cd4ml.store import ledger, lineage, people, rows
from cd4ml.store.project import Project

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy import Connection


class LabelReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """A batch of labels that was taken in; the same batch again is the same receipt."""

    batch: str
    n_labels: int
    n_unknown: int  # of predictions that are not in the log yet
    is_new: bool


def label(
    project: Project,
    *,
    path: Path | None = None,
    rows: Iterable[Mapping[str, Any]] | None = None,
    actor: str,
) -> LabelReceipt:
    """Keep a batch of labels; stored when this returns.

    Args:
        project: Whose predictions they are about.
        path: A CSV, Parquet or NDJSON file with `prediction_id`, `value`, and if known
            `labelled_at` and `labelled_by`.
        rows: The same as rows, instead of a file.
        actor: Who brings them.

    Raises:
        InvalidInput: If any row is no label: nothing of the batch is kept.
    """
    with project.database.read() as connection:
        people.actor(connection, actor)
    given = read_labels(path) if path is not None else list(rows or ())
    collect(project)  # what was answered a moment ago is known, too
    kept = labels.accept(
        project.database,
        project.log,
        given,
        now=project.clock.now(),
        actor=actor,
        output=_output(project),
    )
    return LabelReceipt(
        batch=kept.batch,
        n_labels=kept.n_labels,
        n_unknown=kept.n_unknown,
        is_new=kept.n_new > 0,
    )


def production_contract(project: Project, as_of: datetime | None = None) -> tuple[str, Contract]:
    """The model in charge, now or at a moment, and the contract of its requests.

    Raises:
        NotFound: If nothing is in charge yet, or was then.
    """
    with project.database.read() as connection:
        champions = rows.find(connection, Alias, name="champion")
        if not champions:
            msg = "no version is in charge yet, so production has shown nothing"
            raise NotFound(msg, hint="release one first: cd4ml release MODEL/1 --to ENVIRONMENT")
        model, number = champions[0].model, champions[0].number
        if as_of is not None:
            number = champion_at(connection, model, as_of) or 0
        if number == 0:
            msg = f"no version of {model} was in charge on {as_of}, so production had shown nothing"
            raise NotFound(msg, hint="cd4ml release list shows since when one is")
        version = rows.get(connection, ModelVersion, model, number)
    return version.model, project.blobs.get_record(version.contract, Contract)


def _output(project: Project) -> Field | None:
    """What the model in charge answers, where its contract says so."""
    try:
        _model, contract = production_contract(project)
    except NotFound:  # labels may come before a version is in charge
        return None
    return contract.output


def curate(project: Project, *, actor: str) -> DatasetVersion:
    """Make a version of the rows that production has shown, as far as they are known now.

    Raises:
        NotFound: If nothing is in charge yet.
        InvalidInput: If nothing has come true yet.
    """
    model, contract = production_contract(project)
    name, now = project.settings.retrain.dataset, project.clock.now()
    curated = _curated(project, model, contract, now)
    if curated.n_labelled == 0:
        msg = f"none of {curated.n_predictions:,} predictions of {model} has come true yet"
        raise InvalidInput(msg, hint="cd4ml label FILE brings the truth")
    with project.database.read() as connection:
        before = newest_version(connection, name)
    with discreet(project, name, actor=actor):
        snapshot = snapshot_frame(
            project.files,
            curated.rows,
            source="production",
            contract=_labelled_contract(project, contract),
            before=before.profile if before else "",
        )
    note = f"{curated.n_labelled:,} of {curated.n_predictions:,} predictions had come true"
    with project.database.write() as connection:
        register(connection, project, name, actor, snapshot.columns)
        before = newest_version(connection, name)
        parents = [before.digest] if before and before.digest != snapshot.digest else []
        version = publish(
            connection, snapshot, dataset=name, at=now, actor=actor, note=note, parents=parents
        )
        if version != before:
            _trace(connection, version, before, curated.plans)
        return version


def _trace(
    connection: Connection,
    version: DatasetVersion,
    before: DatasetVersion | None,
    plans: Iterable[int],
) -> None:
    """Curated rows come from the version before, the plans that answered, the labels since."""
    for number in plans:
        lineage.link(connection, version.digest, f"plan/{number}", "answered under")
    for batch in ledger.subjects_since(connection, "labels.accepted", _made(connection, before)):
        lineage.link(connection, version.digest, batch, "input")


def _made(connection: Connection, version: DatasetVersion | None) -> int:
    """The ledger's entry about the making of a version; 0 if there is none."""
    told = ledger.entries(connection, version.ref) if version else []
    return next((entry.sequence for entry in told if entry.action == VERSIONED), 0)


def curated_at(project: Project, moment: datetime) -> curation.Curated:
    """The rows that `curate` would have found at a moment; nothing is stored.

    Whatever has been answered, labelled or corrected since, they are the same for ever: a
    version curated at the moment holds exactly these.

    Raises:
        NotFound: If nothing was in charge then.
    """
    model, contract = production_contract(project, moment)
    return _curated(project, model, contract, moment)


def _curated(project: Project, model: str, contract: Contract, as_of: datetime) -> curation.Curated:
    settings = project.settings
    return curation.curate(
        project.log,
        contract,
        environment=settings.retrain.environment,
        model=model,
        as_of=as_of,
        event_time=settings.model.event_time,
        target=settings.model.target,
    )


def empty_production(project: Project) -> pl.LazyFrame:
    """What production has shown before it began: no rows, with the columns there will be."""
    import polars as pl

    settings = project.settings.model
    contract = declared(project, settings.contract, key="model.contract")
    if contract is None:
        return pl.LazyFrame()
    columns = _labelled_contract(project, contract).fields
    return pl.LazyFrame(schema={field.name: _polars_type(field) for field in columns})


def _labelled_contract(project: Project, contract: Contract) -> Contract:
    """A request's contract with the two columns that its outcome adds."""
    settings = project.settings.model
    added = [Field(settings.target, "number")]
    if settings.event_time not in contract.names:
        added.insert(0, Field(settings.event_time, "datetime"))
    return Contract(
        name=project.settings.retrain.dataset,
        version=contract.version,
        fields=(*contract.fields, *added),
        event_time=settings.event_time,
        description=f"requests that kept {contract.name}, with what came true",
    )


def _polars_type(field: Field) -> pl.DataType:
    import polars as pl

    types: dict[str, pl.DataType] = {
        "integer": pl.Int64(),
        "number": pl.Float64(),
        "boolean": pl.Boolean(),
        "string": pl.String(),
        "datetime": pl.Datetime("us", "UTC"),
    }
    return types[field.type]
