"""What the API reads: the fields of each request, from its path, query or JSON body."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The fields of a request; one that is not known is an error."""


class Nothing(Asked):
    """A request without fields."""


class Words(Asked):
    """A search: words that have to occur, all without them."""

    query: str = ""


class Ref(Asked):
    """The name of one thing, such as `flights@1`, `run/3` or a prediction id."""

    ref: str


class Number(Asked):
    """The number of one thing."""

    number: str


class RunsAsked(Asked):
    """Which runs: of one experiment, or of one search; the newest `limit`."""

    experiment: str = ""
    search: int = 0
    limit: int = 20


class RefsAsked(Asked):
    """Runs to compare, separated by commas: `run/1,run/3`."""

    refs: str


class InEnvironment(Asked):
    """One environment; all without it."""

    environment: str = ""


class EntriesAsked(Asked):
    """Which ledger entries: about one subject; the newest `limit`."""

    subject: str = ""
    limit: int = 50


class Register(Asked):
    """A dataset of `cd4ml.toml` whose files become a version as they are now."""

    name: str
    note: str = ""


class Judge(Asked):
    """The run to judge."""

    run: str


class Offer(Asked):
    """The version to release, `model/number`, and where to."""

    version: str
    to: str
    reason: str = ""


class Decide(Asked):
    """A decision on one release, and why."""

    number: str
    reason: str


class StandAsked(Asked):
    """An approval in advance: of retrained versions of a model, until a time with its zone."""

    model: str
    environment: str
    until: datetime
    reason: str


class UndoAsked(Asked):
    """Where to go back to the version before; the model may be left out where there is one."""

    environment: str
    reason: str
    model: str = ""


class LabelsAsked(Asked):
    """Rows with `prediction_id`, `value` and `labelled_at`."""

    labels: list[dict[str, Any]]


class Because(Asked):
    """Why."""

    reason: str


class PersonAsked(Asked):
    """A person to add, or whose roles to replace."""

    name: str
    roles: tuple[str, ...] = ()
