"""What webhooks still have to be told, on every database."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import NotFound
from cd4ml.records.webhook import WebhookDelivery
from cd4ml.store import ledger, outbox
from cd4ml.store.database import Database

NOW = datetime(2026, 3, 3, 14, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def happen(database: Database, *what: str) -> None:
    with database.write() as connection:
        for action in what:
            ledger.append(connection, at=NOW, actor="ann", action=action, subject="release/1")


def feed(database: Database, **patterns: list[str]) -> int:
    with database.write() as connection:
        return outbox.feed(connection, patterns, machine_time=NOW)


def claim(database: Database, owner: str, at: datetime = NOW) -> WebhookDelivery | None:
    with database.write() as connection:
        return outbox.claim(connection, "chat", owner=owner, machine_time=at, lease_s=30)


def test_each_webhook_is_fed_what_it_wants_once(database: Database) -> None:
    happen(database, "release.begun")
    assert feed(database, chat=["release.*"], log=["*"]) == 0
    happen(database, "release.released", "run.finished", "webhook.given_up")

    assert feed(database, chat=["release.*"], log=["*"]) == 3
    assert feed(database, chat=["release.*"], log=["*"]) == 0

    with database.read() as connection:
        assert outbox.is_fed(connection, ["chat", "log"])
        assert not outbox.is_fed(connection, ["chat", "new"])
        waiting = outbox.of_state(connection, "waiting")
        assert [(each.webhook, each.entry) for each in waiting] == [
            ("chat", 2), ("log", 2), ("log", 3),
        ]  # fmt: skip
        assert outbox.counted(connection) == {("chat", "waiting"): 1, ("log", "waiting"): 2}
        assert outbox.of_state(connection, "waiting", "chat")[0].ref == "webhook/chat/2"


def test_what_is_claimed_is_nobody_else_s_until_its_owner_falls_silent(database: Database) -> None:
    feed(database, chat=["*"])
    happen(database, "release.begun")
    feed(database, chat=["*"])

    first = claim(database, "one")
    assert first is not None
    assert claim(database, "two") is None
    taken_over = claim(database, "two", NOW + 31 * SECOND)

    assert taken_over is not None
    assert (taken_over.number, taken_over.attempts) == (first.number, 2)
    with database.write() as connection:
        assert outbox.settle(connection, first, first) is None  # it is the other one's now
        assert outbox.settle(connection, taken_over, taken_over) is not None


def test_the_oldest_that_is_due_comes_first(database: Database) -> None:
    feed(database, chat=["*"])
    happen(database, "release.begun", "release.released")
    feed(database, chat=["*"])

    first, second = claim(database, "one"), claim(database, "one")

    assert first is not None
    assert second is not None
    assert [first.action, second.action] == ["release.begun", "release.released"]


def test_an_entry_that_is_not_there_cannot_be_queued_again(database: Database) -> None:
    with database.write() as connection, pytest.raises(NotFound) as refused:
        outbox.again(connection, "chat", 7, machine_time=NOW)

    assert str(refused.value) == "no ledger entry '7'\n  hint: there are none yet"


@given(st.lists(st.sampled_from(["release.begun", "alert.raised", "webhook.resent"])))
def test_a_star_wants_everything_but_what_is_about_webhooks(actions: list[str]) -> None:
    wanted = [action for action in actions if outbox.is_wanted(action, ["*"])]

    assert wanted == [action for action in actions if action != "webhook.resent"]
    assert not any(outbox.is_wanted(action, []) for action in actions)
