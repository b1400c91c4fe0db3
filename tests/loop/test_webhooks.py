"""Others are told of what the ledger says, by a real HTTP receiver that fails, is slow and dies."""

import base64
import hashlib
import hmac
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import CodeType

import pytest
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.audit import verify
from cd4ml.loop.people import add_person
from cd4ml.loop.webhooks import deliveries, resend, tell, webhooks
from cd4ml.loop.work import work, work_until
from cd4ml.records.webhook import WebhookDelivery
from cd4ml.store import ledger
from cd4ml.store.tables import TABLES
from tests.killing import Work, apart, kill_at_every_step
from tests.loop.receiver import KEY, Receiver, receiving
from tests.loop.world import actions

SETTINGS = """
[project]
name = "told"
[webhooks.chat]
url = "{url}"
secret = "env:CHAT_SECRET"
events = ["release.*", "alert.raised"]
attempts = 3
patience_s = {patience}
"""


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    """A receiver, whose secret is known."""
    monkeypatch.setenv("CHAT_SECRET", KEY)
    with receiving() as opened:
        yield opened


@pytest.fixture
def told(receiver: Receiver, tmp_path: Path) -> Iterator[Project]:
    """A project that tells the receiver, and has done so for a while."""
    lay_out(tmp_path, receiver.url)
    with open_project(tmp_path) as project:
        add_person(project, "ann", roles=(), actor="ann")
        tell(project, owner="before")
        yield project


def lay_out(folder: Path, url: str, patience: float = 5.0) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "cd4ml.toml").write_text(SETTINGS.format(url=url, patience=patience))


def happen(project: Project, *what: str) -> None:
    """Entries of the ledger."""
    with project.database.write() as connection:
        for action in what:
            at = datetime(2013, 3, 3, 14, tzinfo=UTC)
            ledger.append(
                connection, at=at, actor="ann", action=action, subject="release/2", reason="so"
            )


def let_time_pass(project: Project) -> None:
    """Whatever waits is due, and whoever was at it fell silent long ago."""
    past = datetime.now(UTC) - timedelta(days=1)
    table = TABLES[WebhookDelivery]
    with project.database.write() as connection:
        connection.execute(sa.update(table).values(due_at=past))
        held = table.c.lease_until.is_not(None)
        connection.execute(sa.update(table).where(held).values(lease_until=past))


def states(project: Project) -> dict[str, int]:
    (seen,) = webhooks(project)
    return {"waiting": seen.waiting, "delivered": seen.delivered, "dead": seen.dead}


def test_what_a_webhook_asks_for_is_sent_once_and_signed(told: Project, receiver: Receiver) -> None:
    happen(told, "release.begun", "run.finished", "alert.raised")

    assert tell(told, owner="worker") == 2
    assert tell(told, owner="worker") == 0

    begun, alert = receiver.received
    assert (begun.path, begun.headers["content-type"]) == ("/in", "application/json")
    assert begun.message["type"] == "release.begun"
    assert begun.message["project"] == "told"
    assert begun.message["timestamp"] == "2013-03-03T14:00:00Z"
    assert begun.message["data"]["subject"] == "release/2"
    assert begun.message["data"]["reason"] == "so"
    assert begun.id != alert.id
    assert begun.headers["webhook-signature"] == signature(begun.headers, begun.body)
    sent = datetime.fromtimestamp(int(begun.headers["webhook-timestamp"]), UTC)
    assert abs(datetime.now(UTC) - sent) < timedelta(minutes=1)


def signature(headers: dict[str, str], body: bytes) -> str:
    """As Standard Webhooks says it is made, without our own code."""
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(KEY.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()


def test_a_receiver_that_fails_is_sent_it_again_under_the_same_id(
    told: Project, receiver: Receiver
) -> None:
    receiver.statuses = [500, 0, 200]
    happen(told, "release.begun")

    for _ in range(3):
        tell(told, owner="worker")
        tell(told, owner="worker")  # it is not due yet
        let_time_pass(told)

    assert len(receiver.received) == 3
    assert len({each.id for each in receiver.received}) == 1
    assert states(told) == {"waiting": 0, "delivered": 1, "dead": 0}


def test_what_is_never_taken_is_given_up_and_can_be_sent_again(
    told: Project, receiver: Receiver
) -> None:
    receiver.statuses = [503]
    happen(told, "release.begun", "release.released")
    for _ in range(5):
        tell(told, owner="worker")
        let_time_pass(told)

    dead = deliveries(told)
    assert [(each.action, each.attempts, each.status) for each in dead] == [
        ("release.begun", 3, 503),
        ("release.released", 3, 503),
    ]
    assert dead[0].error == "HTTP 503 Service Unavailable"
    assert actions(told)[-2:] == ["webhook.given_up", "webhook.given_up"]

    receiver.statuses = [200]
    assert len(resend(told, "chat", actor="ann")) == 2
    assert tell(told, owner="worker") == 2
    assert states(told) == {"waiting": 0, "delivered": 2, "dead": 0}
    assert [each.id for each in receiver.received[-2:]] == [
        each.id for each in receiver.received[:2]
    ]
    assert actions(told)[-1] == "webhook.resent"
    assert resend(told, "chat", actor="ann") == []


def test_one_entry_can_be_sent_again_though_it_was_taken(told: Project, receiver: Receiver) -> None:
    happen(told, "run.finished", "release.begun")
    tell(told, owner="worker")
    (delivered,) = deliveries(told, state="delivered")

    resend(told, "chat", entry=delivered.entry, actor="ann")
    resend(told, "chat", entry=delivered.entry - 1, actor="ann")  # it had not asked for this
    tell(told, owner="worker")

    assert sorted(receiver.actions) == ["release.begun", "release.begun", "run.finished"]


def test_a_slow_receiver_is_left_after_its_patience_and_holds_up_nobody_else(
    receiver: Receiver, tmp_path: Path
) -> None:
    with receiving() as quick:
        lay_out(tmp_path, receiver.url, patience=0.1)
        with (tmp_path / "cd4ml.toml").open("a") as file:
            file.write(f'[webhooks.quick]\nurl = "{quick.url}"\nsecret = "env:CHAT_SECRET"\n')
        with open_project(tmp_path) as project:
            tell(project, owner="before")
            receiver.pause.clear()
            happen(project, "release.begun")

            assert tell(project, owner="worker") == 1

            (waiting,) = deliveries(project, state="waiting")
            assert (waiting.webhook, waiting.status) == ("chat", 0)
            assert waiting.error == "no answer within 0.1 s"
    assert quick.actions == ["release.begun"]


def test_a_receiver_that_is_away_is_asked_once_a_turn(tmp_path: Path, receiver: Receiver) -> None:
    lay_out(tmp_path, "http://127.0.0.1:9/nobody")
    with open_project(tmp_path) as project:
        tell(project, owner="before")
        happen(project, "release.begun", "release.released", "release.undone")

        assert tell(project, owner="worker") == 0

        waiting = deliveries(project, state="waiting")
        assert [each.attempts for each in waiting] == [1, 0, 0]
        assert waiting[0].error == "Connection refused"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(told: Project, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    receiver.headers = {"location": f"http://127.0.0.1:{receiver.port}/elsewhere"}
    happen(told, "release.begun")

    tell(told, owner="worker")

    assert [each.path for each in receiver.received] == ["/in"]
    (waiting,) = deliveries(told, state="waiting")
    assert waiting.error.endswith(", and redirects are not followed")


def test_a_receiver_that_is_gone_for_good_is_left_at_once(
    told: Project, receiver: Receiver
) -> None:
    receiver.statuses = [410]
    happen(told, "release.begun")

    tell(told, owner="worker")

    (dead,) = deliveries(told)
    assert (dead.attempts, dead.error) == (1, "HTTP 410 Gone")


def test_a_receiver_says_how_long_it_wants_to_be_left_alone(
    told: Project, receiver: Receiver
) -> None:
    receiver.statuses = [429]
    receiver.headers = {"retry-after": "900"}
    happen(told, "release.begun")

    tell(told, owner="worker")

    (waiting,) = deliveries(told, state="waiting")
    assert timedelta(minutes=14) < waiting.due_at - datetime.now(UTC) <= timedelta(minutes=15)


def test_a_new_webhook_is_told_of_what_happens_from_now_on(
    receiver: Receiver, tmp_path: Path
) -> None:
    lay_out(tmp_path, receiver.url)
    with open_project(tmp_path) as project:
        happen(project, "release.begun")
        assert tell(project, owner="worker") == 0
        happen(project, "release.released")
        assert tell(project, owner="worker") == 1

    assert receiver.actions == ["release.released"]


def test_thousands_of_entries_are_looked_at_once_each(told: Project, receiver: Receiver) -> None:
    happen(told, *["run.finished"] * 1200, "release.begun")

    assert tell(told, owner="worker") == 1

    (seen,) = webhooks(told)
    assert seen.entry == 1202


def test_several_that_tell_at_once_send_each_event_once(told: Project, receiver: Receiver) -> None:
    happen(told, *["release.advanced"] * 12)
    threads = [
        threading.Thread(target=tell, args=(told,), kwargs={"owner": f"worker-{i}"})
        for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(receiver.received) == len({each.id for each in receiver.received}) == 12


def test_background_work_tells(told: Project, receiver: Receiver) -> None:
    happen(told, "release.begun")

    assert work(told, owner="worker").told == 1

    happen(told, "release.undone")
    stop = threading.Event()
    worker = threading.Thread(
        target=work_until, args=(told, stop), kwargs={"owner": "worker", "interval_s": 0.01}
    )
    worker.start()
    try:
        for _ in range(500):
            if states(told)["delivered"] == 2:
                break
            stop.wait(0.01)
    finally:
        stop.set()
        worker.join()
    assert receiver.actions == ["release.begun", "release.undone"]


def test_without_its_secret_nothing_is_sent_and_nothing_is_lost(
    told: Project,
    receiver: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.delenv("CHAT_SECRET")
    happen(told, "release.begun")

    assert tell(told, owner="worker") == 0

    message = "the environment variable CHAT_SECRET is not set, so nothing can be signed"
    assert caplog.records[-1].getMessage().startswith(f"webhook chat: {message}")
    (seen,) = webhooks(told)
    assert (seen.problem, seen.waiting) == (message, 1)
    monkeypatch.setenv("CHAT_SECRET", KEY)
    assert tell(told, owner="worker") == 1


def test_a_webhook_that_is_no_longer_named_is_still_seen(told: Project, receiver: Receiver) -> None:
    receiver.statuses = [500]
    happen(told, "release.begun")
    tell(told, owner="worker")
    (told.folder / "cd4ml.toml").write_text('[project]\nname = "told"\n')

    with open_project(told.folder) as project:
        (seen,) = webhooks(project)
        assert (seen.name, seen.waiting) == ("chat", 1)
        assert seen.problem == "cd4ml.toml does not name it any more"
        assert tell(project, owner="worker") == 0


def test_the_shown_address_has_no_query(receiver: Receiver, tmp_path: Path) -> None:
    lay_out(tmp_path, f"{receiver.url}?token=secret")
    with open_project(tmp_path) as project:
        (seen,) = webhooks(project)
        tell(project, owner="before")
        happen(project, "release.begun")
        tell(project, owner="worker")

    assert seen.url == receiver.url
    assert [each.path for each in receiver.received] == ["/in?token=secret"]


def test_what_cannot_be_sent_again_is_said(told: Project) -> None:
    happen(told, "webhook.resent")
    entry = len(actions(told))

    with pytest.raises(NotFound) as unknown:
        resend(told, "mail", actor="ann")
    with pytest.raises(NotFound) as no_entry:
        resend(told, "chat", entry=999, actor="ann")
    with pytest.raises(InvalidInput) as own:
        resend(told, "chat", entry=entry, actor="ann")
    with pytest.raises(NotFound) as nobody:
        resend(told, "chat", actor="zoe")
    with pytest.raises(NotFound) as unseen:
        deliveries(told, webhook="mail")

    assert str(unknown.value) == ("no webhook named 'mail' in cd4ml.toml\n  hint: known: chat")
    assert str(unseen.value) == str(unknown.value)
    assert str(no_entry.value).startswith("no ledger entry '999'")
    assert str(own.value) == (
        f"entry {entry} (webhook.resent) is about webhooks, and told to none\n"
        "  hint: cd4ml audit log shows the entries"
    )
    assert "zoe" in str(nobody.value)


@pytest.mark.crash
def test_killed_at_every_step_it_tells_everything_at_least_once(
    receiver: Receiver, tmp_path: Path
) -> None:
    lay_out(tmp_path / "before", receiver.url)
    with open_project(tmp_path / "before") as project:
        tell(project, owner="before")
        happen(project, "release.begun", "run.finished", "release.released")

    n_killed = int(apart(kill_tellers, str(tmp_path)))

    assert n_killed > 30
    told = [each.message["type"] for each in receiver.received]
    assert set(told) == {"release.begun", "release.released"}
    assert len({each.id for each in receiver.received}) == 2
    # each attempt tells both once more; only who died between an answer and its record twice
    assert 2 * (n_killed + 1) <= len(told) <= 3 * (n_killed + 1)


def kill_tellers(root: str) -> None:
    """Tell in a child that is killed at one step, for every step there is; then tell on."""

    def folder(n: int) -> Path:
        return Path(root) / f"killed-{n}"

    def attempt(n: int) -> Work:
        shutil.copytree(Path(root) / "before", folder(n))
        project = open_project(folder(n))
        _ = project.database, project.clock
        return lambda: tell(project, owner="killed")

    def afterwards(n: int) -> None:
        with open_project(folder(n)) as project:
            let_time_pass(project)
            tell(project, owner="next")
            assert states(project) == {"waiting": 0, "delivered": 2, "dead": 0}
            verify(project)

    os.environ["CHAT_SECRET"] = KEY
    n = kill_at_every_step(attempt, _is_watched, afterwards=afterwards, is_apart=True)
    sys.stdout.write(str(n))


def _is_watched(code: CodeType) -> bool:
    """What reads and writes how far it has come; between its steps nothing lasting changes."""
    return code.co_name in ("feed", "claim", "settle", "_tell_one", "_claim", "_settle")
