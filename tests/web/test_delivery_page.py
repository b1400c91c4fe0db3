"""The page of how the project delivers, and who is told."""

from datetime import UTC, datetime

import httpx

from cd4ml.loop import Project, open_project
from cd4ml.loop.promote import approve
from cd4ml.records.webhook import WebhookDelivery
from cd4ml.store import rows
from tests.browser import browser
from tests.starter import MANAGER

WEBHOOK = """
[webhooks.chat]
url = "https://chat.example.org/in?key=secret"
secret = "env:CHAT_SECRET"
"""


def text_of(client: httpx.Client, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_figures_stand_for_all_time_and_for_each_stretch(project: Project) -> None:
    approve(project, "release/2", reason="looks good", actor=MANAGER)

    with browser(project) as client:
        page = text_of(client, "/delivery?by=day")
        refused = client.get("/delivery?by=century")

    assert "<dt>change failure rate</dt><dd>0% (0% to 79%), 0 of 1</dd>" in page
    assert f'<th scope="row">{project.clock.now():%Y-%m-%d}</th>' in page
    assert "Who is told" not in page
    assert refused.status_code == 422
    assert "expected day, week or month, got &#39;century&#39;" in refused.text


def test_what_was_in_production_at_a_moment_can_be_asked(project: Project) -> None:
    approve(project, "release/2", reason="looks good", actor=MANAGER)

    with browser(project) as client:
        now = text_of(client, "/delivery")
        then = text_of(client, "/delivery?at=2013-03-03+14:00")
        wrong = client.get("/delivery?at=soon")

    assert "What is in production?" in now
    assert f"<td>{MANAGER}</td>" in now
    assert 'href="/models/diagnosis/1"' in now
    assert "What was in production?" in then
    assert "Nothing: no release had begun." in then
    assert wrong.status_code == 422
    assert "expected a date or time, got &#39;soon&#39;" in wrong.text


def test_what_a_webhook_was_not_told_is_seen(project: Project) -> None:
    with (project.folder / "cd4ml.toml").open("a") as file:
        file.write(WEBHOOK)
    with open_project(project.folder) as told:
        give_up(told)
        with browser(told) as client:
            page = text_of(client, "/delivery")

    assert "https://chat.example.org/in</td>" not in page  # its problem follows
    assert "https://chat.example.org/in<p" in page
    assert "secret" not in page.replace("CHAT_SECRET", "")
    assert "the environment variable CHAT_SECRET is not set" in page
    assert "entry 3, release.requested" in page
    assert "HTTP 503 &lt;b&gt;" in page


def give_up(project: Project) -> None:
    """A delivery that nobody took."""
    at = datetime(2026, 3, 3, tzinfo=UTC)
    dead = WebhookDelivery(
        number=1,
        webhook="chat",
        entry=3,
        action="release.requested",
        state="dead",
        due_at=at,
        ended_at=at,
        error="HTTP 503 <b>",
    )
    with project.database.write() as connection:
        rows.insert(connection, dead)
