"""What a run is in OpenLineage's words: a job, a run of it, datasets in and out, facets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal, NamedTuple
from urllib.parse import quote
from uuid import NAMESPACE_URL, uuid5

import sqlalchemy as sa

from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.lineage import ColumnEdge
from cd4ml.records.run import Run, StepRun
from cd4ml.store import columns, ledger, rows

if TYPE_CHECKING:
    from openlineage.client.event_v2 import InputDataset, OutputDataset

PRODUCER = "https://pypi.org/project/cd4ml/"

State = Literal["START", "COMPLETE", "FAIL"]


class Teller(NamedTuple):
    """Whose events they are.

    `namespace` names the project among all that tell the same collector, `job` its pipeline,
    `repository` the address its code is fetched from ("" if it has none), `version` cd4ml's.
    """

    namespace: str
    job: str
    repository: str
    version: str


def run_event(connection: sa.Connection, run: Run, state: State, teller: Teller) -> dict[str, Any]:
    """The event that says that a run began, or how it ended, as plain JSON data.

    Args:
        connection: Of a read transaction.
        run: As it stands.
        state: What happened to it.
        teller: Who says so.
    """
    from openlineage.client import event_v2
    from openlineage.client.serde import Serde

    at = run.started_at if state == "START" else run.finished_at or run.started_at
    event = event_v2.RunEvent(
        eventTime=at.isoformat(),
        eventType=event_v2.RunState[state],
        producer=PRODUCER,
        run=event_v2.Run(runId=run_id(run, teller), facets=_run_facets(run, state, teller)),
        job=event_v2.Job(teller.namespace, teller.job, facets=_job_facets(run, teller)),
        inputs=[_input(connection, *pair, teller) for pair in _versions(connection, run)],
        outputs=[] if state == "START" else _outputs(connection, run, teller),
    )
    plain: dict[str, Any] = json.loads(Serde.to_json(event))
    return plain


def run_id(run: Run, teller: Teller) -> str:
    """A run's name among all runs of the world, the same whenever it is asked for."""
    return str(uuid5(NAMESPACE_URL, f"{teller.namespace}/{run.ref}/{run.started_at.isoformat()}"))


def _versions(connection: sa.Connection, run: Run) -> list[tuple[Dataset, DatasetVersion]]:
    found = []
    for ref in run.refs.values():
        name, _, number = ref.partition("@")
        if number.isdigit():  # else production had shown nothing yet
            version = rows.get(connection, DatasetVersion, name, int(number))
            found.append((rows.get(connection, Dataset, name), version))
    return found


def _run_facets(run: Run, state: State, teller: Teller) -> dict[str, Any]:
    from openlineage.client.facet_v2 import (
        error_message_run,
        execution_parameters_run,
        processing_engine_run,
    )

    facets: dict[str, Any] = {
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
            version=teller.version, name="cd4ml", producer=PRODUCER
        ),
        "executionParameters": execution_parameters_run.ExecutionParametersRunFacet(
            parameters=[
                execution_parameters_run.ExecutionParameter(key=key, value=json.dumps(value))
                for key, value in sorted(run.parameters.items())
            ],
            producer=PRODUCER,
        ),
    }
    if state == "FAIL":
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=run.reason or "failed", programmingLanguage="PYTHON", producer=PRODUCER
        )
    return facets


def _job_facets(run: Run, teller: Teller) -> dict[str, Any]:
    from openlineage.client.facet_v2 import job_type_job, source_code_location_job

    facets: dict[str, Any] = {
        "jobType": job_type_job.JobTypeJobFacet(
            processingType="BATCH", integration="CD4ML", jobType="PIPELINE", producer=PRODUCER
        )
    }
    if run.revision:
        facets["sourceCodeLocation"] = source_code_location_job.SourceCodeLocationJobFacet(
            type="git",
            url=teller.repository or f"git:{run.revision}",
            repoUrl=teller.repository or None,
            version=run.revision,
            producer=PRODUCER,
        )
    return facets


def _input(
    connection: sa.Connection, dataset: Dataset, version: DatasetVersion, teller: Teller
) -> InputDataset:
    from openlineage.client.event_v2 import InputDataset
    from openlineage.client.facet_v2 import input_statistics_input_dataset as statistics

    return InputDataset(
        namespace=teller.namespace,
        name=dataset.name,
        facets=_dataset_facets(dataset, version),
        inputFacets={
            "inputStatistics": statistics.InputStatisticsInputDatasetFacet(
                rowCount=version.n_rows, size=version.n_bytes, producer=PRODUCER
            ),
            **_assertions(connection, version),
        },
    )


def _dataset_facets(dataset: Dataset, version: DatasetVersion) -> dict[str, Any]:
    from openlineage.client import facet_v2 as facets

    said: dict[str, Any] = {
        "schema": facets.schema_dataset.SchemaDatasetFacet(
            fields=[
                facets.schema_dataset.SchemaDatasetFacetFields(name=each.name, type=each.type)
                for each in version.columns
            ],
            producer=PRODUCER,
        ),
        "dataSource": facets.datasource_dataset.DatasourceDatasetFacet(
            name=version.source, uri=_uri(version.source), producer=PRODUCER
        ),
        "version": facets.dataset_version_dataset.DatasetVersionDatasetFacet(
            datasetVersion=version.ref, producer=PRODUCER
        ),
    }
    if dataset.owner:
        owner = facets.ownership_dataset.Owner(name=dataset.owner, type="OWNER")
        said["ownership"] = facets.ownership_dataset.OwnershipDatasetFacet(
            owners=[owner], producer=PRODUCER
        )
    if dataset.description:
        said["documentation"] = facets.documentation_dataset.DocumentationDatasetFacet(
            description=dataset.description, producer=PRODUCER
        )
    if tags := _tags(dataset):
        said["tags"] = facets.tags_dataset.TagsDatasetFacet(tags=tags, producer=PRODUCER)
    return said


def _tags(dataset: Dataset) -> list[Any]:
    from openlineage.client.facet_v2 import tags_dataset

    field = tags_dataset.TagsDatasetFacetFields
    return [
        *(field(key=tag, value="true", source="CD4ML") for tag in dataset.tags),
        *(
            field(key="personal", value="true", source="CD4ML", field=name)
            for name in dataset.personal
        ),
    ]


def _uri(source: str) -> str:
    """Where it came from, as a URI: `file:` for what lies in the project."""
    if source.partition(":")[0].isalpha() and ":" in source:
        return quote(source, safe=":/?#[]@!$&'()*+,;=%")
    return f"file:{quote(source)}" if "/" in source or "." in source else f"cd4ml:{quote(source)}"


def _assertions(connection: sa.Connection, version: DatasetVersion) -> dict[str, Any]:
    """How the version kept its contract: each broken rule, or that all were kept."""
    from openlineage.client.facet_v2 import data_quality_assertions_dataset as quality

    if not version.contract:
        return {}
    names = {column.name for column in version.columns}
    # the values of rows stay here: only the rule, in front of the colon, is told
    rules = [each.partition(": ")[0] for each in _broken(connection, version)]
    failed = [
        quality.Assertion(
            assertion=rule,
            success=False,
            column=rule.partition(" ")[0] if rule.partition(" ")[0] in names else None,
        )
        for rule in rules
    ]
    kept = quality.Assertion(assertion="keeps its contract", success=version.outcome == "pass")
    facet = quality.DataQualityAssertionsDatasetFacet(assertions=[kept, *failed], producer=PRODUCER)
    return {"dataQualityAssertions": facet}


def _broken(connection: sa.Connection, version: DatasetVersion) -> list[str]:
    for entry in ledger.entries(connection, version.ref):
        if "broken" in entry.details:
            return [str(rule) for rule in entry.details["broken"]]
    return []


def _outputs(connection: sa.Connection, run: Run, teller: Teller) -> list[OutputDataset]:
    from openlineage.client.event_v2 import OutputDataset
    from openlineage.client.facet_v2 import dataset_version_dataset

    steps = rows.find(connection, StepRun, run=run.number)
    made = sorted((s for s in steps if s.output), key=lambda step: step.position)
    names = _names(run, made, teller)
    declared: dict[str, list[ColumnEdge]] = {}
    for edge in columns.declared_of(connection, {step.output for step in made}):
        declared.setdefault(edge.child, []).append(edge)
    return [
        OutputDataset(
            namespace=teller.namespace,
            name=_output_name(step.step, teller),
            facets={
                "version": dataset_version_dataset.DatasetVersionDatasetFacet(
                    datasetVersion=step.output, producer=PRODUCER
                ),
                **_column_facets(declared.get(step.output, []), names, teller),
            },
        )
        for step in made
    ]


def _output_name(step: str, teller: Teller) -> str:
    return f"{teller.job}.{step}"


def _names(run: Run, made: list[StepRun], teller: Teller) -> dict[str, str]:
    """Address -> the name of that dataset in the events."""
    names = {step.output: _output_name(step.step, teller) for step in made}
    for ref, digest in zip(run.refs.values(), run.datasets.values(), strict=True):
        names[digest] = ref.partition("@")[0]
    return names


def _column_facets(
    declared: list[ColumnEdge], names: dict[str, str], teller: Teller
) -> dict[str, Any]:
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage
    from openlineage.client.facet_v2 import schema_dataset

    if not declared:
        return {}
    fields: dict[str, list[Any]] = {}
    for edge in declared:
        found = fields.setdefault(edge.column, [])
        if edge.parent in names:
            found.append(lineage.InputField(teller.namespace, names[edge.parent], edge.source))
    return {
        "schema": schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(name=name) for name in fields],
            producer=PRODUCER,
        ),
        "columnLineage": lineage.ColumnLineageDatasetFacet(
            fields={
                name: lineage.Fields(inputFields=sorted(found, key=lambda each: each.name))
                for name, found in fields.items()
            },
            producer=PRODUCER,
        ),
    }
