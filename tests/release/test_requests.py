"""A release is requested for a version that passed, in the order of the environments, once."""

from typing import Any

import msgspec
import pytest

from cd4ml.errors import (
    AlreadyExists,
    Cd4mlError,
    Conflict,
    Inconclusive,
    NotAllowed,
    NotFound,
    Refused,
)
from cd4ml.records.finding import Outcome
from cd4ml.records.lineage import Edge
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.settings import EnvironmentSettings
from cd4ml.records.verdict import Verdict
from cd4ml.release.content import content_address, decides
from cd4ml.release.requests import request_release
from cd4ml.store import ledger, rows
from cd4ml.store.database import Database
from tests.release.builders import (
    ALONE,
    ANA,
    ENVIRONMENTS,
    NOW,
    OMAR,
    PRODUCTION,
    add_version,
    approved,
    in_charge,
    requested,
    settled,
    tick,
    told,
)


def refusal(database: Database, error: type[Exception], number: int = 1, **changes: Any) -> str:
    given: dict[str, Any] = {
        "environment": "production",
        "environments": ALONE,
        "by": ANA,
        "at": NOW,
    }
    with database.read() as connection:
        before = rows.count(connection, Release), len(ledger.entries(connection))
        version = rows.get(connection, ModelVersion, "delay", number)
    with pytest.raises(error) as caught, database.write() as connection:
        request_release(connection, version, **(given | changes))
    with database.read() as connection:
        assert (rows.count(connection, Release), len(ledger.entries(connection))) == before
    return str(caught.value)


def test_a_request_waits_and_names_what_decides_it(database: Database) -> None:
    release = requested(database, 1)

    with database.read() as connection:
        version = rows.get(connection, ModelVersion, "delay", 1)
        digests = decides(
            version,
            rows.get(connection, Run, 1),
            rows.get(connection, Verdict, 1),
            environment="production",
            settings=PRODUCTION,
        )
        assert rows.get(connection, Release, 1) == release
        (entry,) = ledger.entries(connection, "release/1")
        edges = rows.find(connection, Edge, child="release/1")
    assert (release.state, release.step, release.plan) == ("awaiting_approval", 0, 0)
    assert release.decides == digests
    assert release.content == content_address(digests)
    assert (entry.actor, entry.action) == ("ana", "release.requested")
    assert entry.details["version"] == "delay/1"
    assert entry.details["decides"] == digests
    assert {(edge.parent, edge.role) for edge in edges} == {
        ("delay/1", "released as"),
        ("verdict/1", "judged by"),
    }


def test_asking_again_while_it_is_under_way_gives_the_same_release(database: Database) -> None:
    first = requested(database, 1)

    assert requested(database, 1, by=OMAR) == first
    approved(database, first)
    rolling = tick(database, first)
    assert requested(database, 1) == rolling
    with database.read() as connection:
        assert rows.count(connection, Release) == 1


@pytest.mark.parametrize(
    ("outcome", "error", "said"),
    [
        ("fail", Refused, "verdict/1 is fail, needs pass"),
        ("error", Refused, "verdict/1 is error, needs pass"),
        ("inconclusive", Inconclusive, "verdict/1 is inconclusive"),
    ],
)
def test_a_version_without_a_pass_is_not_released(
    database: Database, outcome: Outcome, error: type[Cd4mlError], said: str
) -> None:
    with database.write() as connection:
        add_version(connection, 1, outcome=outcome)

    assert refusal(database, error) == (
        f"delay/1 was not released: {said}\n  hint: cd4ml gate show verdict/1"
    )


def test_a_verdict_about_another_artifact_lets_nothing_through(database: Database) -> None:
    with database.write() as connection:
        add_version(connection, 1, artifact="blake3:swapped")

    assert refusal(database, Refused) == (
        "delay/1 was not released: verdict/1 is about another artifact"
    )


def test_an_environment_that_is_not_there_is_refused(database: Database) -> None:
    with database.write() as connection:
        add_version(connection, 1)

    assert refusal(database, NotFound, environment="prod", environments=ENVIRONMENTS) == (
        "no environment named 'prod' in cd4ml.toml\n  hint: known: staging, production"
    )


def test_a_person_cannot_claim_that_the_system_retrained_it(database: Database) -> None:
    with database.write() as connection:
        add_version(connection, 1)

    assert refusal(database, NotAllowed, is_retrained=True) == (
        "ana may not request delay/1 as retrained by the system"
    )


def test_a_version_goes_to_production_only_from_staging(database: Database) -> None:
    with database.write() as connection:
        add_version(connection, 1)
        add_version(connection, 2)

    assert refusal(database, Refused, environments=ENVIRONMENTS) == (
        "delay/1 was not released to production: it has to be in charge in staging first, where"
        " no version is\n"
        "  hint: cd4ml release delay/1 --to staging"
    )

    staged = requested(database, 1, environment="staging", environments=ENVIRONMENTS)
    settled(database, staged, environments=ENVIRONMENTS)

    assert refusal(database, Refused, number=2, environments=ENVIRONMENTS) == (
        "delay/2 was not released to production: it has to be in charge in staging first, where"
        " delay/1 is\n"
        "  hint: cd4ml release delay/2 --to staging"
    )
    assert requested(database, 1, environments=ENVIRONMENTS).state == "awaiting_approval"


def test_what_is_in_charge_already_is_not_released_again(database: Database) -> None:
    in_charge(database, 1)

    assert refusal(database, AlreadyExists) == (
        "delay/1 is in charge in production already, by release/1"
    )


def test_what_is_in_charge_under_another_number_is_named(database: Database) -> None:
    in_charge(database, 1)
    with database.write() as connection:
        same = rows.get(connection, Run, 1)
        rows.insert(connection, msgspec.structs.replace(same, number=2))
        first = rows.get(connection, Verdict, 1)
        told(connection, msgspec.structs.replace(first, number=2, run=2), "verdict/2")
        version = rows.get(connection, ModelVersion, "delay", 1)
        again = msgspec.structs.replace(version, number=2, run=2, verdict=2)
        told(connection, again, again.ref)

    assert refusal(database, AlreadyExists, number=2) == (
        "delay/1, which is the same as delay/2, is in charge in production already, by release/1"
    )


def test_one_release_at_a_time_rolls_out(database: Database) -> None:
    in_charge(database, 1)
    second = requested(database, 2)
    approved(database, second)
    tick(database, second)
    with database.write() as connection:
        add_version(connection, 3)

    assert refusal(database, Conflict, number=3) == (
        "delay/3 was not released: release/2 (delay/2) is on its way into production\n"
        "  hint: wait until it has ended, or: cd4ml release abort release/2"
    )


def test_a_change_of_the_rollout_plan_goes_the_same_way(database: Database) -> None:
    in_charge(database, 1)
    faster = {"production": EnvironmentSettings(approvals=1, roles=("release-manager",))}

    again = requested(database, 1, environments=faster)

    assert again.state == "awaiting_approval"
    assert again.decides["model"] == "blake3:artifact-1"


def test_refused_requests_leave_no_gap_in_the_numbers(database: Database) -> None:
    in_charge(database, 1)
    refusal(database, AlreadyExists)

    assert requested(database, 2).number == 2


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"run": 0},
            "delay/1 was not released: no run of this project says what it was made of\n"
            "  hint: cd4ml model add brings a model with the rows of a run",
        ),
        (
            {"artifact": ""},
            "delay/1 was not released: it is not packaged yet, so nobody could answer\n"
            "  hint: cd4ml model package delay/1",
        ),
        (
            {"verdict": 0, "artifact": "blake3:another"},
            "delay/1 was not released: it was never judged by a gate\n  hint: cd4ml gate delay/1",
        ),
        (
            {"deleted_at": NOW},
            f"delay/1 was not released: it was deleted on {NOW:%Y-%m-%d}\n"
            "  hint: cd4ml model restore delay/1",
        ),
    ],
)
def test_a_version_that_nobody_can_vouch_for_is_not_released(
    database: Database, changes: dict[str, Any], said: str
) -> None:
    with database.write() as connection:
        add_version(connection, 1, **changes)

    assert refusal(database, Refused, 1) == said
