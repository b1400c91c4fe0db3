"""People, environments and versions for the release room's tests."""

from datetime import UTC, datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from cd4ml.records.actor import Actor
from cd4ml.records.approval import Approval, StandingApproval
from cd4ml.records.finding import Finding, Outcome
from cd4ml.records.lineage import Edge
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.records.rollout import RolloutEvidence, RolloutStep
from cd4ml.records.run import Run
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.records.verdict import Verdict
from cd4ml.release import approvals
from cd4ml.release.champion import champion_ref
from cd4ml.release.content import content_address, made_as, plan_address, scope_address
from cd4ml.release.reconcile import reconcile, waits_for
from cd4ml.release.requests import request_release
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database
from cd4ml.store.people import SYSTEM

NOW = datetime(2013, 2, 1, 12, tzinfo=UTC)
POLICY = "blake3:policy"


def person(name: str, *roles: str) -> Actor:
    return Actor(name=name, roles=roles, added_at=NOW, added_by="ana")


ANA = person("ana", "scientist", "release-manager")  # requests
RUTH = person("ruth", "release-manager")
OMAR = person("omar", "release-manager")
LIN = person("lin", "scientist")
EVERYBODY = (ANA, RUTH, OMAR, LIN)
MACHINE = Actor(name=SYSTEM, kind="system", added_at=NOW, added_by=SYSTEM)

ROLLOUT = (
    RolloutStep(mode="shadow", predictions=100),
    RolloutStep(mode="canary", weight_percent=5, predictions=200, labels=50),
    RolloutStep(mode="canary", weight_percent=25, predictions=400),
    RolloutStep(mode="full"),
)
PRODUCTION = EnvironmentSettings(approvals=1, roles=("release-manager",), rollout=ROLLOUT)
ENVIRONMENTS = {"staging": EnvironmentSettings(), "production": PRODUCTION}
ALONE = {"production": PRODUCTION}  # a project with one environment
UNJUDGED = {"production": msgspec.structs.replace(PRODUCTION, verdicts=())}  # whatever gates say
OPEN = {"production": EnvironmentSettings(rollout=ROLLOUT)}  # nobody has to agree

ENOUGH = RolloutEvidence(
    n_new=1000, n_champion=9000, n_labelled=800, worse_low=-0.02, worse_high=0.004
)


def add_version(
    connection: sa.Connection,
    number: int,
    *,
    outcome: Outcome = "pass",
    code: str = "blake3:code",
    champion: str | None = None,
    findings: tuple[Finding, ...] = (),
    **changes: Any,
) -> ModelVersion:
    """A version with the run and the verdict behind it, all of the same number."""
    artifact = f"blake3:artifact-{number}"
    run = Run(
        number=number,
        experiment="default",
        state="finished",
        code=code,
        environment="blake3:distributions",
        parameters={"delay.max_iter": 100},
        datasets={"flights": "blake3:january"},
        started_at=NOW,
        created_by="ana",
    )
    verdict = Verdict(
        number=number,
        model="delay",
        run=number,
        artifact=artifact,
        policy=POLICY,
        holdout="blake3:holdout",
        champion=champion_ref(connection, "delay", ENVIRONMENTS) if champion is None else champion,
        findings=findings,
        outcome=outcome,
        judged_at=NOW,
        judged_by="ana",
    )
    version = ModelVersion(
        model="delay",
        number=number,
        run=number,
        verdict=number,
        artifact=artifact,
        contract="blake3:contract",
        created_at=NOW,
        created_by="ana",
    )
    version = msgspec.structs.replace(version, **changes)
    rows.insert(connection, run)
    told(connection, version, version.ref)
    told(connection, verdict, verdict.ref)
    return version


def told(connection: sa.Connection, record: msgspec.Struct, subject: str) -> None:
    """A record that the ledger knows."""
    rows.put(connection, record)
    ledger.append(
        connection, at=NOW, actor="ana", action="record.made", subject=subject, records=(record,)
    )


def requested(
    database: Database,
    number: int,
    *,
    reason: str = "",
    is_emergency: bool = False,
    environment: str = "production",
    environments: dict[str, EnvironmentSettings] = ALONE,
    by: Actor = ANA,
    at: datetime = NOW,
    is_retrained: bool = False,
    caused_by: str = "",
) -> Release:
    """A request for a version, which is made first if it does not exist."""
    with database.write() as connection:
        known = rows.find(connection, ModelVersion, number=number)
        return request_release(
            connection,
            known[0] if known else add_version(connection, number),
            environment=environment,
            environments=environments,
            by=by,
            at=at,
            reason=reason,
            is_retrained=is_retrained,
            is_emergency=is_emergency,
            caused_by=caused_by,
        )


def approved(
    database: Database,
    release: Release,
    *,
    by: Actor = RUTH,
    settings: EnvironmentSettings = PRODUCTION,
    at: datetime = NOW,
) -> Approval:
    with database.write() as connection:
        return approvals.approve(
            connection,
            release.number,
            subject=release.content,
            settings=settings,
            by=by,
            reason="looks good",
            at=at,
        )


def tick(
    database: Database,
    release: Release,
    *,
    environments: dict[str, EnvironmentSettings] = ALONE,
    evidence: RolloutEvidence | None = ENOUGH,
    now: datetime = NOW,
) -> Release:
    """One reconcile, as any process might do it."""
    with database.write() as connection:
        return reconcile(
            connection,
            release,
            environments=environments,
            evidence=evidence,
            now=now,
            actor=SYSTEM,
        )


def settled(
    database: Database,
    release: Release,
    *,
    environments: dict[str, EnvironmentSettings] = ALONE,
    evidence: RolloutEvidence | None = ENOUGH,
    now: datetime = NOW,
) -> Release:
    """The release after as many reconciles as change it."""
    while True:
        after = tick(database, release, environments=environments, evidence=evidence, now=now)
        if after.transitions == release.transitions:
            return after
        release = after


def staffed(database: Database) -> None:
    """Everybody is known to the project, with their roles."""
    with database.write() as connection:
        for each in EVERYBODY:
            told(connection, each, each.name)


def in_charge(database: Database, number: int, *, at: datetime = NOW) -> Release:
    """A version brought into charge in production, approved by Ruth."""
    release = requested(database, number, at=at)
    approved(database, release, at=at)
    return settled(database, release, now=at)


def waiting_for(database: Database, release: Release) -> str:
    """What it waits for in production, in words."""
    with database.read() as connection:
        return waits_for(connection, release, environments=ALONE, evidence=ENOUGH, now=NOW)


def read(database: Database, number: int) -> Release:
    with database.read() as connection:
        return rows.get(connection, Release, number)


def plans(database: Database) -> list[Plan]:
    with database.read() as connection:
        return rows.find(connection, Plan)


def everything(database: Database) -> list[object]:
    """All that the release room writes, to compare two databases or two moments."""
    with database.read() as connection:
        return [
            *rows.find(connection, Release),
            *rows.find(connection, Approval),
            *rows.find(connection, Plan),
            *rows.find(connection, Alias),
            *rows.find(connection, Edge),
            *ledger.entries(connection),
            connection.execute(sa.text("SELECT name, value FROM sequences ORDER BY name")).all(),
        ]


def traffic(plan: Plan) -> list[tuple[str, str, float]]:
    return [(arm.role, arm.ref, arm.weight_percent) for arm in plan.arms]


def a_release(**changes: Any) -> Release:
    """A release as a row would have it, for decisions that need no store."""
    decides = {
        "policy": POLICY,
        "plan": plan_address(PRODUCTION),
        "model": "blake3:artifact-2",
        "code": "blake3:code",
        "contract": "blake3:contract",
        "configuration": "blake3:configuration",
    }
    release = Release(
        number=7,
        model="delay",
        version=2,
        environment="production",
        state="awaiting_approval",
        decides=decides,
        content=content_address(decides),
        replaces=3,
        requested_by="ana",
        requested_at=NOW,
        asked_at=NOW,
        entered_at=NOW,
    )
    return msgspec.structs.replace(release, **changes)


def an_approval(release: Release, by: str = "ruth", **changes: Any) -> Approval:
    approval = Approval(
        number=1,
        release=release.number,
        subject=release.content,
        decision="approve",
        reason="looks good",
        roles=("release-manager",),
        decided_at=NOW,
        decided_by=by,
    )
    return msgspec.structs.replace(approval, **changes)


def a_standing_approval(release: Release, **changes: Any) -> StandingApproval:
    """One that covers the release, if the system requested it after retraining."""
    standing = StandingApproval(
        number=4,
        model=release.model,
        environment=release.environment,
        policy=scope_address(release.decides["policy"], release.decides["plan"]),
        reason="retrained models that pass have never been worse",
        given_at=NOW.replace(day=1, month=1),
        given_by="ruth",
        roles=("release-manager",),
        basis=made_as(release.decides),
        expires_at=NOW.replace(month=12),
    )
    return msgspec.structs.replace(standing, **changes)
