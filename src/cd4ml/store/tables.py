"""The tables, derived from the records: one definition serves both.

Strings, numbers and times become columns; tuples, dicts and nested records become
one JSON column. Times are stored in UTC: as ISO text with microseconds in SQLite
(which sorts as time does), as `timestamptz` in PostgreSQL. Both databases give back
what they were given, and put it in the same order.
"""

from __future__ import annotations

import types
import typing
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from cd4ml.records.actor import Actor
from cd4ml.records.alert import Alert
from cd4ml.records.answer_count import AnswerCount
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.dataset import Dataset, DatasetVersion, RemovedVersion, Tag
from cd4ml.records.experiment import Experiment
from cd4ml.records.job import Job
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.lineage import ColumnEdge, Edge, Node
from cd4ml.records.log_file import LogFile, LogMark, LogRemoval
from cd4ml.records.logged_model import (
    ForeignRun,
    LoggedModel,
    LoggedModelFile,
    LoggedModelMetric,
    RunModel,
)
from cd4ml.records.model_version import Alias, ModelVersion, RegisteredModel
from cd4ml.records.plan import Plan
from cd4ml.records.point import PointChunk
from cd4ml.records.push import Push
from cd4ml.records.release import Release
from cd4ml.records.run import Metric, Run, StepRun
from cd4ml.records.run_artifact import RunArtifact
from cd4ml.records.run_input import RunInput
from cd4ml.records.search import Search, Trial, TrialValue
from cd4ml.records.source_mark import SourceMark
from cd4ml.records.stored_file import StoredFile
from cd4ml.records.token import Token
from cd4ml.records.trigger import Trigger
from cd4ml.records.trust import Trust
from cd4ml.records.verdict import Verdict
from cd4ml.records.webhook import WebhookDelivery, WebhookPosition
from cd4ml.records.window import Window
from cd4ml.records.worker import Worker

metadata = sa.MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "ix": "%(table_name)s_%(column_0_N_name)s_idx",
    }
)


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware UTC datetime."""

    impl = sa.String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """`timestamptz` where there is one, else text."""
        if dialect.name == "postgresql":
            return dialect.type_descriptor(sa.DateTime(timezone=True))
        return dialect.type_descriptor(sa.String(27))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> Any:
        """Refuse a naive time: nobody knows which moment it is."""
        if value is None:
            return None
        if value.tzinfo is None:
            msg = f"expected an aware datetime, got the naive {value!r}"
            raise ValueError(msg)
        moment = value.astimezone(UTC)
        if dialect.name == "postgresql":
            return moment
        return f"{moment.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> datetime | None:
        """Back to aware UTC."""
        if value is None:
            return None
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment.astimezone(UTC)


# in the order of code points everywhere, not in that of the server's language
TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

# kept as the text it is: JSONB would rewrite 1e16 as 10000000000000000, another text with
# another digest, and lose the order of keys
JSON = sa.JSON()

_COLUMN_TYPES: dict[type, sa.types.TypeEngine[Any]] = {
    str: TEXT,
    int: sa.BigInteger(),
    float: sa.Double(),
    bool: sa.Boolean(),
    bytes: sa.LargeBinary(),
    datetime: UtcDateTime(),
}


def _column(field: msgspec.structs.FieldInfo, key: tuple[str, ...]) -> sa.Column[Any]:
    annotation, is_optional = _without_none(field.type)
    if typing.get_origin(annotation) is Literal:
        annotation = type(typing.get_args(annotation)[0])
    return sa.Column(
        field.name,
        _COLUMN_TYPES.get(annotation, JSON),
        primary_key=field.name in key,
        nullable=is_optional,
        autoincrement=False,
    )


def _without_none(annotation: Any) -> tuple[Any, bool]:
    parts = typing.get_args(annotation)
    is_union = typing.get_origin(annotation) in (types.UnionType, typing.Union)
    if is_union and type(None) in parts:
        return next(part for part in parts if part is not type(None)), True
    return annotation, False


TABLES: dict[type[msgspec.Struct], sa.Table] = {}


def _table(
    kind: type[msgspec.Struct],
    name: str,
    key: tuple[str, ...],
    *,
    unique: tuple[str, ...] = (),
    indexes: tuple[tuple[str, ...], ...] = (),
    is_clustered: bool = False,
) -> sa.Table:
    """A table; a clustered one keeps its rows in the order of the key, where SQLite can."""
    columns = [_column(field, key) for field in msgspec.structs.fields(kind)]
    constraints = [sa.UniqueConstraint(*unique)] if unique else []
    table = sa.Table(name, metadata, *columns, *constraints, sqlite_with_rowid=not is_clustered)
    for names in indexes:
        sa.Index(None, *(table.c[column] for column in names))
    TABLES[kind] = table
    return table


_table(Actor, "actors", ("name",))
_table(Token, "tokens", ("number",), unique=("digest",))
_table(Dataset, "datasets", ("name",))
_table(
    DatasetVersion,
    "dataset_versions",
    ("dataset", "number"),
    indexes=(("digest",), ("dataset", "content")),
)
_table(RemovedVersion, "removed_versions", ("dataset", "number"))
_table(Tag, "tags", ("dataset", "name"))
_table(StoredFile, "stored_files", ("digest",), indexes=(("object",), ("size",)))
_table(Push, "pushes", ("dataset", "key"))
_table(SourceMark, "source_marks", ("dataset",))
_table(
    Run,
    "runs",
    ("number",),
    indexes=(("experiment", "number"), ("search",), ("partition",)),
)
_table(StepRun, "step_runs", ("run", "step"), indexes=(("fingerprint",), ("output",)))
_table(Metric, "metrics", ("run", "name"), indexes=(("name", "value", "run"),), is_clustered=True)
_table(Experiment, "experiments", ("number",), unique=("name",))
_table(PointChunk, "points", ("run", "metric", "start"))
_table(RunArtifact, "run_artifacts", ("run", "path"), indexes=(("address",),))
_table(RunInput, "run_inputs", ("run", "name", "digest", "context"), indexes=(("digest",),))
_table(RunModel, "run_models", ("run", "model", "role"), indexes=(("model",),))
_table(ForeignRun, "foreign_runs", ("id",), indexes=(("run",),))
_table(LoggedModel, "logged_models", ("id",), indexes=(("experiment",), ("run",)))
_table(LoggedModelFile, "logged_model_files", ("model", "path"), indexes=(("address",),))
_table(LoggedModelMetric, "logged_model_metrics", ("model", "name", "dataset", "digest"))
_table(RegisteredModel, "models", ("name",))
_table(Search, "searches", ("number",), indexes=(("key",), ("state",)))
_table(Trial, "trials", ("search", "position"), indexes=(("run",),))
_table(TrialValue, "trial_values", ("search", "step", "trial"))
_table(ModelVersion, "model_versions", ("model", "number"), indexes=(("artifact",), ("run",)))
_table(Alias, "aliases", ("model", "name"))
_table(Trust, "trusts", ("digest",))
_table(Verdict, "verdicts", ("number",), indexes=(("run",),))
_table(Approval, "approvals", ("number",), indexes=(("release",),))
_table(StandingApproval, "standing_approvals", ("number",), indexes=(("model", "environment"),))
_table(Release, "releases", ("number",), indexes=(("model", "environment"), ("state",)))
_table(Plan, "plans", ("number",), indexes=(("environment", "model", "number"),))
_table(Window, "windows", ("environment", "model", "start"))
_table(Alert, "alerts", ("number",), unique=("environment", "model", "kind", "window_start"))
_table(Trigger, "triggers", ("number",), indexes=(("job",),))
_table(Job, "jobs", ("number",), unique=("key",), indexes=(("state",),))
_table(LogFile, "log_files", ("log", "number"), indexes=(("log", "day"),))
_table(LogMark, "log_marks", ("log", "name"))
_table(LogRemoval, "log_removals", ("log", "digest"))
_table(
    AnswerCount,
    "answer_counts",
    ("model", "number", "environment", "role", "hour"),
    indexes=(("environment", "hour"),),
    is_clustered=True,
)
_table(LedgerEntry, "ledger", ("sequence",), indexes=(("subject",), ("action",)))
_table(Node, "nodes", ("address",))
_table(Edge, "edges", ("child", "parent", "role"), indexes=(("parent",),))
_table(
    ColumnEdge,
    "column_edges",
    ("child", "column", "parent", "source"),
    indexes=(("parent", "source"),),
)
_table(Worker, "workers", ("name",))
_table(WebhookPosition, "webhook_positions", ("webhook",))
_table(
    WebhookDelivery,
    "webhook_deliveries",
    ("number",),
    unique=("webhook", "entry"),
    indexes=(("webhook", "state", "due_at"),),
)

sequences = sa.Table(
    "sequences",
    metadata,
    sa.Column("name", TEXT, primary_key=True),
    sa.Column("value", sa.BigInteger(), nullable=False),
)
