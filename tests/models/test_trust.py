"""Pickles made elsewhere never run before somebody who may answers for exactly these bytes."""

import pickle
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import joblib
import pytest

from cd4ml.errors import NotAllowed, NotFound, Refused
from cd4ml.models import trust
from cd4ml.models.package import package
from cd4ml.models.runtime import load
from cd4ml.records.actor import Actor
from cd4ml.records.run import StepRun
from cd4ml.records.trust import Trust
from cd4ml.store import ledger, rows
from cd4ml.store.blobs import Blobs, open_blobs
from cd4ml.store.database import Database
from tests.models.builders import CONTRACT, flights, native_boosted

NOW = datetime(2013, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
DIGEST = "blake3:" + "a" * 64

ADA = Actor(name="ada", roles=("admin",), added_at=NOW, added_by="ada")
MEL = Actor(name="mel", roles=("ml-engineer",), added_at=NOW, added_by="ada")
EVE = Actor(name="eve", added_at=NOW, added_by="ada")
ROLES = ("ml-engineer",)


class Hostile:
    """What an attacker pickles: loading it writes a file, long before anything is predicted."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> Any:
        return (Path.write_text, (self.place, "executed"))


def step_run(output: str, kind: str) -> StepRun:
    return StepRun(
        run=1,
        step="delay",
        position=2,
        fingerprint="",
        state="computed",
        kind=kind,
        output=output,
    )


def given(database: Database, by: Actor = MEL, *, why: str = "built by our lab") -> Trust:
    with database.write() as connection:
        return trust.give_word(connection, DIGEST, why=why, roles=ROLES, by=by, at=NOW)


def taken_back(database: Database, by: Actor) -> Trust:
    with database.write() as connection:
        return trust.take_back(
            connection, DIGEST, why="lab was broken into", roles=ROLES, by=by, at=LATER
        )


def test_somebody_with_the_role_answers_for_it(database: Database) -> None:
    is_trusted = trust.trusted_in(database)
    assert not is_trusted(DIGEST)

    word = given(database)

    assert word == Trust(
        digest=DIGEST, why="built by our lab", role="ml-engineer", given_at=NOW, given_by="mel"
    )
    assert is_trusted(DIGEST)
    assert not is_trusted("blake3:" + "b" * 64)
    with database.read() as connection:
        (entry,) = ledger.entries(connection, subject=DIGEST)
    assert (entry.actor, entry.action, entry.reason, entry.details) == (
        "mel",
        "pickle.trusted",
        "built by our lab",
        {"role": "ml-engineer"},
    )


def test_an_admin_may_as_well(database: Database) -> None:
    assert given(database, ADA).role == "admin"


def test_nobody_else_may(database: Database) -> None:
    with pytest.raises(NotAllowed) as caught:
        given(database, EVE)

    assert str(caught.value) == (
        "eve may not say which code may run that was made elsewhere: it needs the role admin or"
        " ml-engineer, has none"
    )
    assert not trust.trusted_in(database)(DIGEST)


def test_saying_it_again_keeps_the_first_word(database: Database) -> None:
    first = given(database)

    assert given(database, ADA, why="me too") == first


def test_it_is_taken_back_by_who_gave_it_or_by_who_may(database: Database) -> None:
    is_trusted = trust.trusted_in(database)
    given(database)

    ended = taken_back(database, ADA)

    assert (ended.revoked_by, ended.revoked_at) == ("ada", LATER)
    assert not is_trusted(DIGEST)
    with pytest.raises(NotFound) as caught:
        taken_back(database, ADA)
    assert str(caught.value) == (
        f"nobody said that {DIGEST} may be loaded\n  hint: cd4ml model trusted"
    )
    assert given(database).revoked_at is None
    assert is_trusted(DIGEST)
    with database.read() as connection:
        said = [entry.action for entry in ledger.entries(connection, subject=DIGEST)]
    assert said == ["pickle.trusted", "pickle.distrusted", "pickle.trusted"]


def test_who_has_lost_the_role_may_still_take_back_their_own_word(database: Database) -> None:
    given(database)

    assert taken_back(database, Actor(name="mel", added_at=NOW, added_by="ada")).revoked_by == "mel"


def test_others_may_not_take_it_back(database: Database) -> None:
    given(database)

    with pytest.raises(NotAllowed):
        taken_back(database, EVE)

    assert trust.trusted_in(database)(DIGEST)


@pytest.mark.parametrize(("kind", "is_ours"), [("model", True), ("file", False)])
def test_a_run_answers_for_what_it_pickled_and_not_for_files_that_it_passed_on(
    database: Database, kind: str, is_ours: bool
) -> None:
    with database.write() as connection:
        rows.insert(connection, step_run(DIGEST, kind))

    assert trust.trusted_in(database)(DIGEST) is is_ours


@pytest.mark.parametrize("address", ["", "\0", "'; DROP TABLE trusts; --"])
def test_what_is_no_address_is_not_trusted(database: Database, address: str) -> None:
    assert not trust.trusted_in(database)(address)


@pytest.mark.parametrize("is_joblib", [False, True])
def test_a_hostile_pickle_does_not_run_before_somebody_answers_for_it(
    database: Database, tmp_path: Path, is_joblib: bool
) -> None:
    blobs, place = open_blobs(str(tmp_path / "blobs")), tmp_path / "place"
    address = stored(blobs, Hostile(place), tmp_path, is_joblib=is_joblib)

    for _ in range(2):
        with pytest.raises(Refused, match="was not made by a run of this project"):
            packaged(blobs, address, database, is_joblib=is_joblib)
        assert not place.exists()

    with database.write() as connection:
        trust.give_word(connection, address, why="a test", roles=(), by=ADA, at=NOW)
    with pytest.raises(Exception, match="predict"):  # what came out is no estimator
        packaged(blobs, address, database, is_joblib=is_joblib)
    assert place.read_text() == "executed"


@pytest.mark.parametrize("is_joblib", [False, True])
def test_every_load_asks_again(database: Database, tmp_path: Path, is_joblib: bool) -> None:
    blobs, is_trusted = open_blobs(str(tmp_path / "blobs")), trust.trusted_in(database)
    address = stored(blobs, native_boosted(), tmp_path, is_joblib=is_joblib)
    with database.write() as connection:
        trust.give_word(connection, address, why="a test", roles=(), by=ADA, at=NOW)
    artifact = packaged(blobs, address, database, is_joblib=is_joblib)
    assert load(blobs, artifact, is_trusted=is_trusted).kind == "native"

    with database.write() as connection:
        trust.take_back(connection, address, why="doubts", roles=(), by=ADA, at=NOW)

    with pytest.raises(Refused) as caught:
        load(blobs, artifact, is_trusted=is_trusted)
    assert (
        caught.value.message == f"the estimator at {address} was not made by a run of this project"
    )


def stored(blobs: Blobs, thing: Any, folder: Path, *, is_joblib: bool) -> str:
    if not is_joblib:
        return blobs.put(pickle.dumps(thing))
    file = folder / "model.joblib"
    joblib.dump(thing, file, compress=3)
    return blobs.put_file(file)


def packaged(blobs: Blobs, address: str, database: Database, *, is_joblib: bool) -> str:
    return package(
        blobs,
        estimator=address,
        contract=CONTRACT,
        sample=flights(),
        is_trusted=trust.trusted_in(database),
        is_joblib=is_joblib,
    )
