"""The keys of `cd4ml.toml`: the project's policy, reviewed like code."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from cd4ml.records.gate import Gate
from cd4ml.records.rollout import RolloutStep

ExecutorName = Literal["processes", "in-process", "ray"]


class ProjectSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[project]`: its name and the Python module with the steps.

    `seed` is that of the chance in all steps. `variables` are environment variables that count
    for every step, beside those that its code is seen to read by name.
    """

    name: str
    pipeline: str = "pipeline"
    description: str = ""
    seed: int = 0
    variables: tuple[str, ...] = ()


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[store]`: where things last.

    The environment variables CD4ML_DATABASE and CD4ML_BLOBS take precedence, so that no
    password has to stand in the file. With `share_steps` the outputs of steps are taken from,
    and offered to, everybody who works with the same blobs, whatever their database.
    """

    database: str = "sqlite:///.cd4ml/cd4ml.db"
    blobs: str = ".cd4ml/blobs"
    share_steps: bool = True
    share_models: bool = False  # also those that run code when they are loaded


class DataSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[data.NAME]`: a dataset the steps can take by this name.

    Rows come from files (`path`: a file, a folder or a glob, below the project or in S3),
    from `production` (labelled requests of the model, curated by `cd4ml label`), from a
    database (`sql`), a Delta table (`delta`), an address (`http`), or are `pushed` to the API.

    `store` says whether a version copies the files, gives them a second name in the store
    (`hardlink`), or only knows where they lie (`reference`). `keep` is how many of the newest
    versions `cd4ml data gc` leaves, besides those that something was made from; 0 leaves all.

    With `on_violation = "quarantine"` rows that keep the contract go on, and the others
    become a version of `NAME_quarantine`.
    """

    path: str = ""  # of files; of the table, for "delta"
    store: Literal["copy", "reference", "hardlink"] = "copy"
    keep: int = 0
    source: Literal["files", "production", "sql", "delta", "http", "pushed"] = "files"
    watch: bool = False  # a new version whenever the files changed and are quiet
    every: Literal["hour", "day", "week"] | None = None  # how often it is read by itself (UTC)
    query: str = ""  # of "sql"; with ORDER BY, else the same rows may be another version
    connection: str = ""  # of "sql": a URL, or env:NAME
    version: int | None = None  # of the table, for "delta"; the newest without it
    url: str = ""  # of "http"
    headers: dict[str, str] = {}  # of "http"; env:NAME in a value keeps secrets out of the file
    plain_http: bool = False  # whether rows may come over http:// from another machine
    at_most_mb: int = 1000  # of "http": a longer answer is refused
    owner: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    licence: str = ""
    contract: str = ""  # "module:Name", a .toml file, or a .yaml file (ODCS)
    on_violation: Literal["block", "quarantine"] = "block"  # what happens to rows that break it
    personal: tuple[str, ...] = ()  # columns that say something about a person
    readers: tuple[str, ...] = ()  # roles that may read its rows; () lets everybody
    fresh_within_hours: float | None = None  # older ones are stale


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[model]`: which step makes the model, which rows judge it, and for what.

    `step` may be left out when exactly one step returns a Model. The steps
    `training` and `holdout` give the rows it learned from and is judged on; a step named
    `scored`, where there is one, rows with their `score`, on which runs are compared;
    `target` is their column to predict, `event_time` says when a row happened. No value
    of `key` may be in both (a patient, a ride); without it, no row.
    """

    step: str = ""
    training: str = "training"
    holdout: str = "holdout"
    scored: str = "scored"
    target: str = "target"
    event_time: str = "event_at"
    key: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    contract: str = ""  # "module:Name" of the request's Contract; "" derives it
    card: str = ""  # a Markdown file with what no record knows: intended use, limits
    trusted_by: tuple[str, ...] = ()  # roles that may let code run that was made elsewhere


class FreezeSettings(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"begin": "from"}
):
    """`[[environments.NAME.freeze]]`: when no release begins or goes on there.

    Dates and times (`"2026-12-20"`, `"2026-12-20 18:00"`), or every week (`"fri 17:00"`), in the
    time of `zone`. A date is meant as a whole day, also as the end.
    """

    begin: str
    until: str
    zone: str = "UTC"  # of the IANA database, such as Europe/Berlin
    reason: str = ""


class EmergencySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[environments.NAME.emergency]`: who may release there without approval and in a freeze.

    The version passed its gates all the same. Traffic moves as `rollout` says: at once, unless
    it says otherwise. Somebody else reviews it afterwards.
    """

    roles: tuple[str, ...]
    rollout: tuple[RolloutStep, ...] = (RolloutStep(mode="full"),)


class EnvironmentSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[environments.NAME]`: who must agree, and how traffic moves; what is run there.

    `approvals` is how many people with one of `roles` have to agree, or how many of each role:
    `{ release-manager = 1, risk-officer = 1 }`, where nobody counts for two. `verdicts` names the
    gates that must have passed, by metric or by what they ask; all of them without it.

    `cd4ml run --env NAME` takes `data` (dataset -> a version, another dataset, or a path) and
    `parameters` (step.parameter -> value) instead of the usual ones.
    """

    data: dict[str, str] = {}
    parameters: dict[str, Any] = {}
    verdicts: tuple[str, ...] | None = None
    approvals: int | dict[str, int] = 0
    roles: tuple[str, ...] = ()
    approval_expires_hours: float | None = None  # an older approval no longer counts
    request_expires_hours: float | None = None  # a request that has not begun by then ends
    freeze: tuple[FreezeSettings, ...] = ()
    emergency: EmergencySettings | None = None  # without it there are none
    rollout: tuple[RolloutStep, ...] = (RolloutStep(mode="full"),)
    worse_by: float = 0.01  # abort when the new version's Brier score is worse by more, for sure


class MonitoringSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[monitoring]`: how production is measured.

    A window is judged `matures_after_hours` after its end. `drift` is the PSI from
    which a change counts (beyond noise); `metrics` are compared with the trivial
    baseline and with their level at release.
    """

    window: Literal["day", "week", "month"] = "week"
    matures_after_hours: int = 24
    drift: float = 0.2
    metrics: tuple[str, ...] = ("auc", "brier")
    environment: str = "production"


class RetrainSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[retrain]`: when to retrain, and into which dataset production's rows go.

    A retrained candidate needs the same approvals as any other; a standing approval
    (`cd4ml approve --standing`) gives them in advance.
    """

    when: tuple[Literal["drift", "performance", "window"], ...] = ()
    dataset: str = "labelled"
    environment: str = "production"


class LineageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[lineage]`: who else is told of runs.

    `openlineage` is "file:PATH" or "http://...": where OpenLineage's events go. The
    environment variable OPENLINEAGE_URL takes precedence.
    """

    openlineage: str = ""


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[webhooks.NAME]`: who else is told of what the ledger says, as it happens.

    `events` are actions, or patterns of them: `["release.*", "alert.raised"]`. What is sent is
    signed with `secret`, which is `env:NAME`: a variable of the environment. One that is not
    taken within `patience_s` is sent again, `attempts` times in all, with growing pauses.
    """

    url: str  # https://, or http:// on this machine
    secret: str
    events: tuple[str, ...] = ("*",)
    attempts: int = 15
    patience_s: float = 10.0
    plain_http: bool = False  # whether it may go over http:// to another machine


class SearchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[search.NAME]`: values of parameters to try, and how: `cd4ml search NAME`.

    `try` has a parameter's values, or its range as a text: `"50..500"`, `"0.01..1:log"`,
    `"0..1:0.1"`. Without `trials` every combination is tried. With `portions` each trial sees
    only a share of the rows first, and the best of them more: successive halving.
    """

    space: dict[str, Any] = msgspec.field(name="try", default_factory=dict)
    set: dict[str, Any] = {}  # "step.parameter" = the value in all trials
    sampler: Literal["grid", "random", "tpe"] | None = None
    trials: int = 0
    seed: int = 0
    metric: str = ""
    direction: Literal["higher", "lower"] | None = None  # which values of the metric are better
    workers: int = 2  # trials at a time
    patience: int = 0  # trials without a better one after which the search ends
    minutes: float = 0.0  # after which no trial begins
    work_minutes: float = 0.0  # of all trials together, after which none begins
    cost: float = 0.0  # of all trials together by [prices], after which none begins
    cpus: float = 0.0  # a trial's share of a machine; 0: what its hungriest step asks for
    gpus: float = 0.0
    memory: int | str = 0  # bytes, or "4GB"
    prune: Literal["median", "halving"] | None = None  # by what steps report
    portions: tuple[float, ...] = ()  # of the rows, for instance [0.1, 0.3, 1.0]
    portion_of: str = ""  # a dataset; may be left out where there is one
    portion_by: str = ""  # its column of time; else a hash of the row decides
    data: dict[str, str] = {}  # dataset = "name@number", where it is not the newest
    environment: str = ""  # whose data and parameters hold, where none are given here
    experiment: str = "default"


class RunSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[run]`: where the steps of a run are computed.

    In `processes` beside this one; in-process, for a debugger; or on the Ray cluster at `ray`
    ("auto" finds one, "local" starts one on this machine). CD4ML_EXECUTOR takes precedence.
    So many `workers` compute steps at a time; 0: one process, or as many as a cluster has CPUs.
    """

    executor: ExecutorName = "processes"
    workers: int = 0
    ray: str = ""  # HOST:PORT, auto or local


class PriceSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[prices]`: what an hour costs, in one currency; without any, runs have no cost.

    CPUs count by the time that they work, GPUs by the time for which a step has them, memory
    by a step's peak, the machine by the time that the run takes.
    """

    cpu_hour: float = 0.0
    gpu_hour: float = 0.0
    memory_gb_hour: float = 0.0
    machine_hour: float = 0.0
    currency: str = ""

    @property
    def are_given(self) -> bool:
        """Whether anything costs something."""
        return any((self.cpu_hour, self.gpu_hour, self.memory_gb_hour, self.machine_hour))


class CaptureSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[capture]`: how answers get into the prediction log, and what of them.

    With `when_unwritable = "refuse"` a request whose answer cannot be recorded is not answered;
    with `"drop"` it is, and what is missing is counted. A power cut loses at most the last
    `sync_every_ms` (0 syncs before each answer). With `ship = "before-answer"` an answer leaves
    once it is in the blob store, so that a lost machine loses none.

    `redact` and `hash` name fields of requests, `cd4ml-key` among them; what is written for
    them is null, or a keyed hash. `person` is the field by which somebody's rows are found and
    deleted. Rows older than `keep_days` are deleted; 0 keeps them.
    """

    when_unwritable: Literal["refuse", "drop"] = "refuse"
    ship: Literal["after-answer", "before-answer"] = "after-answer"
    sync_every_ms: int = 1000
    slow_after_s: float = 10.0  # a disk that is so late with a sync counts as one that cannot write
    rotate_mb: int = 64
    rotate_after_minutes: float = 60.0
    sample: float = 1.0  # of the answers, by chance of their id
    redact: tuple[str, ...] = ()
    hash: tuple[str, ...] = ()
    person: str = "cd4ml-key"
    keep_days: int = 0
    unlisted_hours: float = 24.0  # after which files that no reader is shown any more are removed


class ServingSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[serving]`: how endpoints end, and who is told of their requests.

    A process that is told to end says so to who asks whether it is ready, goes on for `notice_s`,
    so that balancers turn to others, then accepts nothing more and has `drain_s` for the requests
    in flight. `traces` is the URL of an OpenTelemetry collector (OTLP over HTTP); the environment
    variable CD4ML_TRACES takes precedence.
    """

    notice_s: float = 0.0
    drain_s: int = 10
    traces: str = ""


class ReplicaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[replicas]`: how many copies of an endpoint answer on a Ray cluster.

    Never fewer than `min` nor more than `max`; in between as many as keep `requests` at a time
    for each of them. Each keeps `cpus` of its node busy, and keeps `memory` free.
    """

    min: int = 1
    max: int = 4
    requests: float = 8.0
    cpus: float = 1.0
    memory: int | str = 0  # bytes, or "4GB"
    add_after_s: float = 10.0  # for which there were more requests
    remove_after_s: float = 300.0  # for which there were fewer


class AuditSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[audit]`: where the ledger's signed checkpoints go, and how often.

    A folder or `s3://bucket/prefix`, best where who runs the database can create and not remove;
    below the blobs without it. The environment variable CD4ML_CHECKPOINTS takes precedence. They
    are made by `cd4ml up`, where a key is: CD4ML_AUDIT_KEY names its file.
    """

    checkpoints: str = ""
    every_minutes: float = 60.0


class RehearsalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[rehearsal]`: the module that plays the outside world."""

    world: str = "world"


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole of `cd4ml.toml`."""

    project: ProjectSettings
    store: StoreSettings = StoreSettings()
    run: RunSettings = RunSettings()
    prices: PriceSettings = PriceSettings()
    data: dict[str, DataSettings] = {}
    model: ModelSettings = ModelSettings()
    gate: tuple[Gate, ...] = ()
    environments: dict[str, EnvironmentSettings] = {}
    monitoring: MonitoringSettings = MonitoringSettings()
    retrain: RetrainSettings = RetrainSettings()
    lineage: LineageSettings = LineageSettings()
    search: dict[str, SearchSettings] = {}
    serving: ServingSettings = ServingSettings()
    capture: CaptureSettings = CaptureSettings()
    replicas: ReplicaSettings = ReplicaSettings()
    audit: AuditSettings = AuditSettings()
    webhooks: dict[str, WebhookSettings] = {}
    rehearsal: RehearsalSettings = RehearsalSettings()
