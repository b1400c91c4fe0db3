"""Many values of parameters tried at once: what is to be tried, and each trial of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

Sampler = Literal["grid", "random", "tpe"]
Pruner = Literal["", "median", "halving"]


class Choices(msgspec.Struct, frozen=True, kw_only=True, tag="choices"):
    """A parameter's values, named one by one."""

    values: tuple[Any, ...]


class Range(msgspec.Struct, frozen=True, kw_only=True, tag="range"):
    """A parameter's values from `low` to `high`, both included.

    Whole numbers if `is_whole`. With a `step` only low, low + step, ...; with `is_log` the
    tenfold is as far everywhere (0.01 to 0.1 as 0.1 to 1).
    """

    low: float
    high: float
    is_whole: bool
    step: float | None = None
    is_log: bool = False


Domain = Choices | Range


class SearchPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All that decides what a search tries; it never changes.

    `data` names the version of each dataset, `code` is the digest of the code that the steps
    reach: a search that is continued tries the rest on the same.
    """

    space: dict[str, Domain]  # "step.parameter" -> its values
    sampler: Sampler
    n_trials: int
    seed: int = 0
    metric: str = ""  # what a trial is judged by; "" where nothing has to be
    direction: Literal["higher", "lower"] = "higher"  # which of its values are better
    workers: int = 2  # trials at a time
    patience: int = 0  # trials without a better one after which it ends; 0 for never
    budget_s: float = 0.0  # seconds after which no trial begins; 0 for no end
    work_s: float = 0.0  # seconds of all trials together after which none begins; 0 for no end
    cost: float = 0.0  # of all trials together, after which none begins; 0 for no end
    pruner: Pruner = ""
    portions: tuple[float, ...] = ()  # of the rows: each rung's share, the last one 1
    portion_of: str = ""  # the dataset of which portions are taken
    portion_by: str = ""  # its column of time; "" for a hash of the row
    fixed: dict[str, Any] = {}  # "step.parameter" -> the value in all trials
    data: dict[str, str] = {}  # dataset -> "name@number"
    environment: str = ""  # of cd4ml.toml, whose data and parameters are among these
    as_of: str = ""  # a moment, ISO 8601: on what was known then; "" for the versions as they are
    experiment: str = "default"
    code: str = ""

    @property
    def known_at(self) -> datetime | None:
        """The moment whose knowledge trials take; None for the versions as they are."""
        return datetime.fromisoformat(self.as_of) if self.as_of else None


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A search: its plan, whose process is at work on it, and how it ended.

    `key` is the digest of what was asked for: asking again goes on with a search that was
    interrupted. The lease is in machine time: it measures how long a process was silent.
    """

    number: int
    key: str
    name: str = ""  # of `[search.NAME]` in cd4ml.toml
    plan: SearchPlan
    state: Literal["running", "interrupted", "finished"] = "running"
    reason: str = ""  # why it ended
    owner: str = ""
    lease_until: datetime | None = None
    spent_s: float = 0.0  # seconds that processes were at work on it
    started_at: datetime
    finished_at: datetime | None = None
    created_by: str

    @property
    def ref(self) -> str:
        """`search/number`."""
        return f"search/{self.number}"


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a search: its values, and the run that tried them.

    `run` is 0 where none was begun; `reason` says why a trial failed or was pruned.
    """

    search: int
    position: int  # from 0
    parameters: dict[str, Any]
    rung: int = 0  # of successive halving: which portion of the rows
    promoted_from: int | None = None  # the position of the trial before it, on fewer rows
    state: Literal["waiting", "running", "finished", "pruned", "failed"] = "running"
    attempts: int = 1  # how often it was begun
    run: int = 0
    value: float | None = None  # of the search's metric
    reason: str = ""
    seconds: float = 0.0
    cost: float | None = None  # of its run; None without prices


class TrialValue(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial reported while it was underway: its metric after so many steps."""

    search: int
    step: int
    trial: int  # its position
    value: float | None  # None where it was not a finite number


class ParameterImportance(msgspec.Struct, frozen=True, kw_only=True):
    """What share of the metric's variance over the space a parameter explains alone, 0 to 1."""

    parameter: str
    share: float


class SearchImportance(msgspec.Struct, frozen=True, kw_only=True):
    """Which parameters mattered, the most important first.

    `together` is what only combinations explain, `explained` how well the trials can be
    foretold from their parameters: near 1 the shares can be believed, at 0 they mean nothing.
    """

    parameters: tuple[ParameterImportance, ...]
    together: float
    explained: float
    n_trials: int
