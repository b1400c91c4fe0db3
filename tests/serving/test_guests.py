"""An endpoint that asks who asks: by tokens that it knows without the database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cd4ml.serving import guests as module
from cd4ml.serving.guests import Guests
from cd4ml.serving.request import RequestRefused
from cd4ml.store import people, tokens
from cd4ml.store.database import Database
from tests.models.builders import boosted
from tests.serving.builders import Released, arm, server, until

NOW = datetime(2026, 3, 1, tzinfo=UTC)


class Clock:
    """A machine's clock that stands where it is put."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    def machine_time(self) -> datetime:
        return self.at


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guests look at the tokens whenever they may."""
    monkeypatch.setattr(module, "_AGAIN_S", 0.0)


@pytest.fixture
def staffed(database: Database) -> Database:
    with database.write() as connection:
        people.add(connection, "ann", roles=(), by="ann", at=NOW)
    return database


def token(database: Database, *scopes: str, days: int = 1) -> str:
    secret = tokens.new_secret()
    with database.write() as connection:
        tokens.add(
            connection,
            secret,
            actor="ann",
            scopes=scopes,
            by="ann",
            at=NOW,
            expires_at=NOW + timedelta(days=days),
        )
    return secret


def refusal(guests: Guests, secret: str) -> str:
    """What is said to who shows a secret; "" if they may ask."""
    try:
        guests.refuse_strangers([(b"authorization", f"Bearer {secret}".encode())])
    except RequestRefused as refused:
        return f"{refused.status}: {refused}"
    return ""


def test_only_tokens_that_may_ask_here_do(staffed: Database, tmp_path: Path) -> None:
    guests = Guests(tmp_path / "tokens.json", "production", Clock())
    good = [token(staffed, *scopes) for scopes in (["predict"], ["predict:production"], ["all"])]
    bad = [token(staffed, *scopes) for scopes in (["predict:staging"], ["read", "push"])]

    guests.follow(staffed)

    assert [refusal(guests, secret) for secret in good] == ["", "", ""]
    for secret in bad:
        assert refusal(guests, secret) == (
            "403: the token is too narrow: this needs predict:production\n"
            "  hint: cd4ml token create NAME --scope predict:production"
        )
    for secret in ("cd4ml_guessed", ""):
        assert refusal(guests, secret) == (
            "401: the token is nobody's, or was revoked\n"
            "  hint: cd4ml token create NAME --scope predict"
        )
    for header, fault in (
        ((b"cd4ml-actor", b"ann"), "is missing"),
        ((b"authorization", b"Token cd4ml_guessed"), "shows no bearer token"),
    ):
        with pytest.raises(RequestRefused) as refused:
            guests.refuse_strangers([header])
        assert str(refused.value) == (
            f"who asks? the header authorization {fault}\n"
            "  hint: authorization: Bearer SECRET, of cd4ml token create NAME --scope predict"
        )


def test_a_revoked_token_is_refused_from_the_next_look_on(
    staffed: Database, tmp_path: Path
) -> None:
    guests = Guests(tmp_path / "tokens.json", "production", Clock())
    secret = token(staffed, "predict")
    guests.follow(staffed)
    with staffed.write() as connection:
        tokens.revoke(connection, 1, by="ann", at=NOW)

    assert refusal(guests, secret) == ""
    guests.follow(staffed)
    assert refusal(guests, secret).startswith("401: the token is nobody's, or was revoked\n")


def test_a_token_ends_at_its_time_without_the_database(staffed: Database, tmp_path: Path) -> None:
    clock = Clock()
    guests = Guests(tmp_path / "tokens.json", "production", clock)
    secret = token(staffed, "predict")
    guests.follow(staffed)

    clock.at = NOW + timedelta(hours=23)
    assert refusal(guests, secret) == ""
    clock.at = NOW + timedelta(hours=24)
    assert refusal(guests, secret).startswith("401: the token is worthless: it expired at ")


def test_after_a_restart_the_disk_remembers_digests_and_no_secret(
    staffed: Database, tmp_path: Path
) -> None:
    file = tmp_path / "serving" / "tokens.json"
    secret, narrow = token(staffed, "predict"), token(staffed, "read")
    Guests(file, "production", Clock()).follow(staffed)

    again = Guests(file, "production", Clock())
    assert refusal(again, secret)
    again.recall()
    assert refusal(again, secret) == ""
    assert refusal(again, narrow).startswith("403: ")
    assert secret.removeprefix("cd4ml_") not in file.read_text()


@pytest.mark.slow
def test_an_endpoint_answers_its_guests_alone(project: Released) -> None:
    project.plan(arm(project.model(boosted(max_iter=2))))
    database = project.project.database
    with database.write() as connection:
        people.add(connection, "ann", roles=(), by="ann", at=NOW)
    secret = tokens.new_secret()
    with database.write() as connection:
        tokens.add(
            connection,
            secret,
            actor="ann",
            scopes=("predict:production",),
            by="ann",
            at=NOW,
            expires_at=datetime(2100, 1, 1, tzinfo=UTC),
        )

    with server(project.folder, needs_token=True) as running, running.caller() as caller:
        shown = f"Bearer {secret}"
        until(lambda: caller.ask(authorization=shown).status == 200)
        stranger = caller.ask()
        assert (stranger.status, stranger.json["error"]) == (
            401,
            "who asks? the header authorization is missing",
        )
        assert stranger.headers["www-authenticate"] == "Bearer"
        assert caller.ask(authorization="Bearer cd4ml_guessed").status == 401
        assert caller.get("/health").status == 200
    assert len(project.captured()) == 1
