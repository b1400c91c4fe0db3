"""A token is handed out once, listed without its secret, and can be taken back."""

import msgspec
import pytest

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project
from cd4ml.loop.tokens import actor_with, make_token, revoke_token, tokens_of
from tests.loop.world import ANN, EVE, actions


def test_a_token_is_made_used_listed_and_revoked(project: Project) -> None:
    made = make_token(project, EVE, note="nightly load", actor=ANN)

    assert actor_with(project, made.secret) == EVE
    assert tokens_of(project) == [made.token]
    assert made.secret not in msgspec.json.encode(tokens_of(project)).decode()
    revoked = revoke_token(project, "token/1", actor=EVE)
    assert revoked.revoked_at == project.clock.now()
    assert actor_with(project, made.secret) is None
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
        f"expected the number of a token, got {number!r}\n  hint: cd4ml people tokens"
    )


def test_an_unknown_token_is_not_revoked(project: Project) -> None:
    with pytest.raises(NotFound, match=r"^no token '7'"):
        revoke_token(project, "7", actor=ANN)
