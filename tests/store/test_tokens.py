"""Secrets that act for people: shown once, kept as a digest, revoked at once."""

import pytest

from cd4ml.errors import NotAllowed, NotFound
from cd4ml.records.token import Token
from cd4ml.store import ledger, people, rows, tokens
from cd4ml.store.database import Database
from tests.store.records import NOW


@pytest.fixture
def staffed(database: Database) -> Database:
    """ann is an admin, eve is not."""
    with database.write() as connection:
        people.add(connection, "ann", roles=(), by="ann", at=NOW)
        people.add(connection, "eve", roles=(), by="ann", at=NOW)
    return database


def test_who_shows_the_secret_acts_as_its_owner(staffed: Database) -> None:
    secret = tokens.new_secret()
    with staffed.write() as connection:
        tokens.add(connection, secret, actor="eve", note="loader", by="eve", at=NOW)

    with staffed.read() as connection:
        owner = tokens.owner_of(connection, secret)

        assert owner is not None
        assert owner.name == "eve"
        assert tokens.owner_of(connection, secret[:-1]) is None
        assert tokens.owner_of(connection, "") is None
        assert tokens.owner_of(connection, "\udcff") is None


def test_the_secret_is_kept_nowhere(staffed: Database) -> None:
    secret = tokens.new_secret()
    with staffed.write() as connection:
        tokens.add(connection, secret, actor="eve", by="ann", at=NOW)

        (kept,) = rows.find(connection, Token)
        written = ledger.entries(connection, "token/1")

    assert kept.digest == tokens.digest_of(secret)
    assert secret not in f"{kept} {written}"
    assert kept.digest not in f"{written}"


def test_secrets_are_long_and_never_the_same() -> None:
    made = {tokens.new_secret() for _ in range(1000)}

    assert len(made) == 1000
    assert {len(secret) for secret in made} == {6 + 43}  # 43 characters of base64: 256 bits


def test_a_revoked_token_is_nobodys_and_stays_in_the_list(staffed: Database) -> None:
    secret = tokens.new_secret()
    with staffed.write() as connection:
        tokens.add(connection, secret, actor="eve", by="eve", at=NOW)

        revoked = tokens.revoke(connection, 1, by="ann", at=NOW)

        assert revoked.revoked_at == NOW
        assert tokens.owner_of(connection, secret) is None
        assert tokens.revoke(connection, 1, by="eve", at=NOW) == revoked
        assert [
            (entry.action, entry.actor, entry.details)
            for entry in ledger.entries(connection, "token/1")
        ] == [
            ("token.revoked", "ann", {"actor": "eve"}),
            ("token.created", "eve", {"actor": "eve"}),
        ]


def test_only_its_owner_or_an_admin_makes_and_revokes_one(staffed: Database) -> None:
    with staffed.write() as connection:
        tokens.add(connection, tokens.new_secret(), actor="ann", by="ann", at=NOW)

    with pytest.raises(NotAllowed) as refused, staffed.write() as connection:
        tokens.add(connection, tokens.new_secret(), actor="ann", by="eve", at=NOW)
    assert str(refused.value) == (
        "eve may not make a token for ann: it needs the role admin, has none\n"
        "  hint: ann may do it too"
    )
    with pytest.raises(NotAllowed, match=r"^eve may not revoke"), staffed.write() as connection:
        tokens.revoke(connection, 1, by="eve", at=NOW)
    with pytest.raises(NotFound, match=r"^nobody named 'mallory'"), staffed.write() as connection:
        tokens.add(connection, tokens.new_secret(), actor="mallory", by="ann", at=NOW)
    with staffed.read() as connection:
        assert rows.count(connection, Token) == 1
