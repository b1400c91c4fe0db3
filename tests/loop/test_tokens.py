"""A token is handed out once, listed without its secret, and can be taken back."""

from datetime import timedelta

import msgspec
import pytest

from cd4ml.errors import InvalidInput, NotAllowed, NotFound
from cd4ml.loop import Project
from cd4ml.loop.tokens import NoToken, actor_with, make_token, revoke_token, tokens_of
from cd4ml.store import tokens
from tests.loop.world import ANN, BEGIN, EVE, actions


def test_a_token_is_made_used_listed_and_revoked(project: Project) -> None:
    made = make_token(project, EVE, note="nightly load", scopes=("push",), actor=ANN)

    assert actor_with(project, made.secret) == EVE
    assert tokens_of(project) == [made.token]
    assert made.secret not in msgspec.json.encode(tokens_of(project)).decode()
    revoked = revoke_token(project, "token/1", actor=EVE)
    assert revoked.revoked_at == project.clock.now()
    with pytest.raises(NoToken) as worthless:
        actor_with(project, made.secret)
    assert str(worthless.value) == (
        "token/1 of eve is worthless: revoked by eve at 2013-02-01 00:00\n"
        "  hint: cd4ml token create NAME makes another one"
    )
    assert actions(project)[-2:] == ["token.created", "token.revoked"]


def test_nobody_acts_as_the_system(project: Project) -> None:
    with pytest.raises(InvalidInput) as refused:
        make_token(project, "system", actor=ANN)

    assert str(refused.value) == (
        "nobody acts as 'system' from outside\n  hint: make the token for a person"
    )


@pytest.mark.parametrize("note", ["two\nlines", "n" * 201])
def test_a_note_is_one_line(project: Project, note: str) -> None:
    with pytest.raises(InvalidInput, match=r"^expected a note of at most 200 printable"):
        make_token(project, EVE, note=note, actor=EVE)

    assert tokens_of(project) == []


@pytest.mark.parametrize("number", ["one", "-1", "", "\u00b2"])
def test_what_is_no_number_is_no_token(project: Project, number: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        revoke_token(project, number, actor=ANN)

    assert str(refused.value) == (
        f"expected the number of a token, got {number!r}\n  hint: cd4ml token list"
    )


def test_an_unknown_token_is_not_revoked(project: Project) -> None:
    with pytest.raises(NotFound, match=r"^no token '7'"):
        revoke_token(project, "7", actor=ANN)


def expired(project: Project) -> str:
    """The secret of a token whose time ended in 2013, by the machine's clock."""
    secret = tokens.new_secret()
    with project.database.write() as connection:
        tokens.add(
            connection,
            secret,
            actor=EVE,
            by=EVE,
            at=BEGIN,
            expires_at=BEGIN + timedelta(hours=1),
        )
    return secret


def test_an_expired_token_is_refused_and_written_down_once(project: Project) -> None:
    secret = expired(project)

    for _ in range(2):
        with pytest.raises(NoToken) as refused:
            actor_with(project, secret)

    assert str(refused.value) == (
        "token/1 of eve is worthless: it expired at 2013-02-01 01:00\n"
        "  hint: cd4ml token create NAME makes another one"
    )
    assert actions(project)[-2:] == ["token.created", "token.expired"]
    (listed,) = tokens_of(project)
    assert listed.revoked_because == "it expired"


def test_a_token_is_good_for_ninety_days_by_the_clock_that_no_rehearsal_moves(
    project: Project,
) -> None:
    token = make_token(project, EVE, actor=EVE).token

    assert token.expires_at - token.created_at == timedelta(days=90)
    assert token.created_at > BEGIN + timedelta(days=365)  # the rehearsed project is in 2013


def test_a_token_that_is_too_narrow_is_refused_with_what_it_would_need(project: Project) -> None:
    made = make_token(project, EVE, scopes=("push:flights", "read"), actor=EVE)

    assert actor_with(project, made.secret, act="push", on="flights") == EVE
    assert actor_with(project, made.secret, act="read") == EVE
    with pytest.raises(NotAllowed) as refused:
        actor_with(project, made.secret, act="push", on="fares")
    assert not isinstance(refused.value, NoToken)
    assert str(refused.value) == (
        "token/1 of eve is too narrow: this needs push:fares, it has push:flights, read\n"
        "  hint: cd4ml token create eve --scope push:fares"
    )


def test_a_token_that_is_nobodys_is_refused(project: Project) -> None:
    with pytest.raises(NoToken, match=r"^the token is nobody's"):
        actor_with(project, tokens.new_secret())


def test_a_scope_is_limited_to_an_environment_that_there_is(project: Project) -> None:
    with pytest.raises(NotFound) as refused:
        make_token(project, EVE, scopes=("read", "approve:nowhere"), actor=EVE)

    assert str(refused.value) == (
        "no environment named 'nowhere' in cd4ml.toml\n  hint: known: staging, production"
    )
    assert tokens_of(project) == []
