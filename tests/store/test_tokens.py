"""Secrets that act for people: shown once, kept as a digest, worthless after their time."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotAllowed, NotFound
from cd4ml.records.token import Token
from cd4ml.store import ledger, people, rows, tokens
from cd4ml.store.address import address_of_record
from cd4ml.store.database import Database
from tests.store.records import NOW

LATER = NOW + timedelta(days=30)


@pytest.fixture
def staffed(database: Database) -> Database:
    """ann is an admin, eve is not."""
    with database.write() as connection:
        people.add(connection, "ann", roles=(), by="ann", at=NOW)
        people.add(connection, "eve", roles=(), by="ann", at=NOW)
    return database


def add(connection: sa.Connection, secret: str = "", **changes: Any) -> Token:
    given = {"actor": "eve", "by": "eve", "at": NOW, "expires_at": LATER}
    return tokens.add(connection, secret or tokens.new_secret(), **{**given, **changes})


def test_a_secret_shows_its_token_and_no_other_does(staffed: Database) -> None:
    secret = tokens.new_secret()
    with staffed.write() as connection:
        made = add(connection, secret, note="loader", scopes=("push:flights", "read"))

    with staffed.read() as connection:
        assert tokens.shown(connection, secret) == made
        for other in (secret[:-1], "", "\udcff"):
            assert tokens.shown(connection, other) is None
    assert (made.actor, made.scopes) == ("eve", ("push:flights", "read"))


def test_the_secret_is_kept_nowhere(staffed: Database) -> None:
    secret = tokens.new_secret()
    with staffed.write() as connection:
        add(connection, secret)

        (kept,) = rows.find(connection, Token)
        written = ledger.entries(connection, "token/1")

    assert kept.digest == tokens.digest_of(secret)
    assert secret not in f"{kept} {written}"
    assert kept.digest not in f"{written}"


def test_secrets_are_long_and_never_the_same() -> None:
    made = {tokens.new_secret() for _ in range(1000)}

    assert len(made) == 1000
    assert {len(secret) for secret in made} == {6 + 43}  # 43 characters of base64: 256 bits


def test_a_revoked_token_says_by_whom_and_stays_in_the_list(staffed: Database) -> None:
    secret = tokens.new_secret()
    with staffed.write() as connection:
        made = add(connection, secret)

        revoked = tokens.revoke(connection, 1, by="ann", at=NOW)

        assert (revoked.revoked_at, revoked.revoked_because) == (NOW, "revoked by ann")
        assert tokens.shown(connection, secret) == revoked
        assert tokens.revoke(connection, 1, by="eve", at=NOW) == revoked
        written = ledger.entries(connection, "token/1")
    assert [(entry.action, entry.actor) for entry in written] == [
        ("token.revoked", "ann"),
        ("token.created", "eve"),
    ]
    assert written[1].details == {
        "actor": "eve",
        "scopes": ["all"],
        "expires_at": "2013-01-31T00:00:00Z",
        "records": {"token/1": address_of_record(made)},
    }


def test_a_token_ends_at_its_time(staffed: Database) -> None:
    with staffed.write() as connection:
        made = add(connection)

    assert not tokens.is_over(made, LATER - timedelta(microseconds=1))
    assert tokens.is_over(made, LATER)


def test_once_it_was_shown_after_its_end_a_clock_that_goes_back_does_not_revive_it(
    staffed: Database,
) -> None:
    with staffed.write() as connection:
        add(connection)

        expired = tokens.expire(connection, 1, at=LATER)

        assert (expired.revoked_at, expired.revoked_because) == (LATER, "it expired")
        assert tokens.expire(connection, 1, at=NOW) == expired
        assert [entry.action for entry in ledger.entries(connection, "token/1")] == [
            "token.expired",
            "token.created",
        ]


def test_a_token_that_is_over_when_it_is_made_is_refused(staffed: Database) -> None:
    with pytest.raises(InvalidInput) as refused, staffed.write() as connection:
        add(connection, expires_at=NOW)

    assert str(refused.value) == (
        "a token ends in the future, got 2013-01-01 00:00\n  hint: it is 2013-01-01 00:00 now"
    )


@pytest.mark.parametrize(
    ("scopes", "message"),
    [
        ((), "a token allows something"),
        (("fly",), "there is no scope 'fly'"),
        (("push:",), "'push' cannot be limited to ''"),
        (("read:flights",), "'read' cannot be limited to 'flights'"),
        (("approve:production", "all:production"), "'all' cannot be limited to 'production'"),
    ],
)
def test_a_scope_that_is_none_is_refused(
    staffed: Database, scopes: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InvalidInput) as refused, staffed.write() as connection:
        add(connection, scopes=scopes)

    assert refused.value.message == message
    with staffed.read() as connection:
        assert rows.count(connection, Token) == 0


def test_only_its_owner_or_an_admin_makes_and_revokes_one(staffed: Database) -> None:
    with staffed.write() as connection:
        add(connection, actor="ann", by="ann")

    with pytest.raises(NotAllowed) as refused, staffed.write() as connection:
        add(connection, actor="ann", by="eve")
    assert str(refused.value) == (
        "eve may not make a token for ann: it needs the role admin, has none\n"
        "  hint: ann may do it too"
    )
    with pytest.raises(NotAllowed, match=r"^eve may not revoke"), staffed.write() as connection:
        tokens.revoke(connection, 1, by="eve", at=NOW)
    with pytest.raises(NotFound, match=r"^nobody named 'mallory'"), staffed.write() as connection:
        add(connection, actor="mallory", by="ann")
    with pytest.raises(NotAllowed, match=r"would decide as eve\n"), staffed.write() as connection:
        add(connection, actor="eve", by="ann", scopes=("read", "label"))
    with staffed.read() as connection:
        assert rows.count(connection, Token) == 1
