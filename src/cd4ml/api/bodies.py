"""What the API reads: the fields of each request, from its path, query or JSON body."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

Limit = Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a request; one that is not known is an error."""


class Nothing(Asked, frozen=True):
    """A request without fields."""


class Words(Asked, frozen=True):
    """A search: words, or their beginnings, that all have to occur; the first `limit`."""

    query: str = ""
    limit: Limit = 100


class Ref(Asked, frozen=True):
    """The name of one thing, such as `flights@1`, `run/3` or a prediction id."""

    ref: str


class TwoContracts(Asked, frozen=True):
    """Two versions or runs whose contracts are compared."""

    old: str
    new: str


class ExplainAsked(Asked, frozen=True):
    """A version, and rows as requests carry them."""

    ref: str
    rows: list[dict[str, Any]]


class LineageAsked(Asked, frozen=True):
    """Whose lineage: up, down, or both ways; by the way of one column, if it is given."""

    ref: str
    way: Literal["both", "up", "down"] = "both"
    column: str = ""
    limit: Limit = 200


class ImpactAsked(Asked, frozen=True):
    """What is taken to be wrong: a thing, or one of its columns."""

    ref: str
    column: str = ""


class Versions(Asked, frozen=True):
    """Two versions, and the columns that say which row is which, separated by commas."""

    before: str
    after: str
    key: str = ""


class DatasetAsked(Asked, frozen=True):
    """A dataset or version, `flights@1`; with `as_of` that of a moment (2013-03-01)."""

    ref: str
    as_of: str = ""


class Number(Asked, frozen=True):
    """The number of one thing."""

    number: str


class SlicesAsked(Asked, frozen=True):
    """The weakest slices of a verdict's candidate: in which metric, how many, how large."""

    number: str
    metric: str = ""
    most: int = 10
    min_rows: int = 100


class RunsAsked(Asked, frozen=True):
    """Which runs: of an experiment or a search, those a filter lets through, as sorted."""

    experiment: str = ""
    search: int = 0
    where: str = ""
    sort: str = ""
    limit: Limit = 20
    skip: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0


class PointsAsked(Asked, frozen=True):
    """What a metric of a run was: `limit` points after the first `skip`."""

    number: str
    metric: str
    limit: Limit = 1000
    skip: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0


class DescribeRun(Asked, frozen=True):
    """What to call a run, to say about it, and to tag it with."""

    number: str
    name: str | None = None
    note: str | None = None
    tags: dict[str, str] = {}
    untag: tuple[str, ...] = ()


class SearchesAsked(Asked, frozen=True):
    """The newest `limit` searches."""

    limit: Limit = 20


class RefsAsked(Asked, frozen=True):
    """Runs to compare, separated by commas: `run/1,run/3`."""

    refs: str


class InEnvironment(Asked, frozen=True):
    """One environment; all without it."""

    environment: str = ""


class EntriesAsked(Asked, frozen=True):
    """Which ledger entries: about one subject; the newest `limit`."""

    subject: str = ""
    limit: Limit = 50


class Register(Asked, frozen=True):
    """A dataset of `cd4ml.toml` whose files become a version as they are now."""

    name: str
    note: str = ""


class LogAsked(Asked, frozen=True):
    """A dataset, and how many of its newest versions; all without it."""

    ref: str
    limit: Limit | None = None


class TagAsked(Asked, frozen=True):
    """A version, and the name that it gets."""

    ref: str
    tag: str


class UntagAsked(Asked, frozen=True):
    """A dataset, and the name that its version loses."""

    ref: str
    tag: str


class VerifyAsked(Asked, frozen=True):
    """The versions to read again: one, those of one dataset, or all of them."""

    ref: str = ""


class CollectAsked(Asked, frozen=True):
    """How many of the newest versions are kept; as `cd4ml.toml` says without it."""

    keep: Limit | None = None
    dry_run: bool = False


class RefAndWhy(Asked, frozen=True):
    """A version, or a model, and why."""

    ref: str
    why: str = ""


class Graduate(Asked, frozen=True):
    """The run whose model becomes a version, and of which registered model."""

    run: str
    model: str = ""
    step: str = ""
    rows: str = ""  # the run whose training and holdout rows judge it
    description: str = ""
    tags: dict[str, str] = {}
    why: str = ""


class AliasAsked(Asked, frozen=True):
    """The version an alias is to point at, and the number it points at now (0: at none)."""

    ref: str
    alias: str
    expected: int | None = None
    why: str = ""


class UnaliasAsked(Asked, frozen=True):
    """The alias to take away, `model@alias`, and the number it points at now."""

    ref: str
    expected: int | None = None
    why: str = ""


class Describe(Asked, frozen=True):
    """What a version or a model is, in words, and tags that it gets."""

    ref: str
    description: str | None = None
    tags: dict[str, str] = {}


class Judge(Asked, frozen=True):
    """The run, or the version, to judge."""

    run: str


class Offer(Asked, frozen=True):
    """The version to release, `model/number`, where to, and whether it is an emergency."""

    version: str
    to: str
    reason: str = ""
    emergency: bool = False


class Decide(Asked, frozen=True):
    """A decision on one release, and why."""

    number: str
    reason: str


class Agree(Asked, frozen=True):
    """A release, why one agrees to it, and its content as one has seen it."""

    number: str
    reason: str
    content: str | None = None


class StandAsked(Asked, frozen=True):
    """An approval in advance: of retrained versions of a model, until a time with its zone."""

    model: str
    environment: str
    until: Annotated[datetime, msgspec.Meta(tz=True)]
    reason: str
    margins: dict[str, float] = {}


class UndoAsked(Asked, frozen=True):
    """Where to go back to the version before; the model may be left out where there is one."""

    environment: str
    reason: str
    model: str = ""


class LabelsAsked(Asked, frozen=True):
    """Rows with `prediction_id`, `value` and `labelled_at`."""

    labels: list[dict[str, Any]]


class Because(Asked, frozen=True):
    """Why."""

    reason: str


class PersonAsked(Asked, frozen=True):
    """A person to add, or whose roles to replace."""

    name: str
    roles: tuple[str, ...] | None = None


class RemovalAsked(Asked, frozen=True):
    """A person who acts no more, and why."""

    name: str
    reason: str


class TokenAsked(Asked, frozen=True):
    """Whose token, what it is for and good for, and until when; 90 days without it."""

    name: str
    scopes: tuple[str, ...]
    note: str = ""
    until: Annotated[datetime, msgspec.Meta(tz=True)] | None = None


class RowsAsked(Asked, frozen=True):
    """The dataset that takes the rows of the body; it has `source = "pushed"`."""

    name: str


class PullsAsked(Asked, frozen=True):
    """Which attempts to read sources: of one dataset; the newest `limit`."""

    name: str = ""
    limit: Limit = 20
