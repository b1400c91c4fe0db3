"""Who else is told of what happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.webhooks import WebhookSeen
    from cd4ml.records.webhook import WebhookDelivery


def add_to(commands: Commands) -> None:
    """`webhook list|dead|resend`."""
    nouns = commands.group(
        "webhook",
        "who else is told of what the ledger says",
        "`[webhooks.NAME]` in cd4ml.toml names them; `cd4ml up` and `cd4ml work` deliver.",
    )
    nouns.add("list", list_all, "list the webhooks, what they were told and what waits")
    parser = nouns.add("dead", dead, "list what was given up, and why")
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="of one webhook")
    parser = nouns.add(
        "resend",
        resend,
        "send again what was given up, or one entry of the ledger",
        "It carries the id it had before, so that a receiver that has it already can tell.",
    )
    parser.add_argument("name", metavar="NAME", help="of a webhook")
    parser.add_argument(
        "--entry", type=at_most_a_million, default=0, metavar="N", help="this one, dead or not"
    )


def list_all(given: Given) -> Answer[list[WebhookSeen]]:
    """Every webhook."""
    from cd4ml.loop.webhooks import webhooks

    return Answer(webhooks(given.project), _show_webhooks)


def dead(given: Given) -> Answer[list[WebhookDelivery]]:
    """What was given up."""
    from cd4ml.loop.webhooks import deliveries

    return Answer(deliveries(given.project, webhook=given.words.name), _show_dead)


def resend(given: Given) -> Answer[list[WebhookDelivery]]:
    """Queue it again."""
    from cd4ml.loop.webhooks import resend as queue_again

    words = given.words
    found = queue_again(given.project, words.name, entry=words.entry, actor=given.actor)
    return Answer(found, _show_queued)


def _show_webhooks(screen: Screen, found: list[WebhookSeen]) -> None:
    if not found:
        screen.line("none: add [webhooks.NAME] to cd4ml.toml")
        return
    screen.table(
        ("webhook", "to", "events", "told", "waiting", "dead"),
        (
            (
                each.name,
                each.url,
                ", ".join(each.events),
                f"{each.delivered:,}",
                f"{each.waiting:,}",
                f"{each.dead:,}",
            )
            for each in found
        ),
    )
    for each in found:
        if each.problem:
            screen.hint(f"{each.name}: {each.problem}")


def _show_dead(screen: Screen, found: list[WebhookDelivery]) -> None:
    from cd4ml.cli.screen import moment

    if not found:
        screen.line("nothing was given up")
        return
    screen.table(
        ("webhook", "entry", "action", "attempts", "given up", "because"),
        (
            (
                each.webhook,
                str(each.entry),
                each.action,
                str(each.attempts),
                moment(each.ended_at),
                each.error,
            )
            for each in found
        ),
    )


def _show_queued(screen: Screen, found: list[WebhookDelivery]) -> None:
    if not found:
        screen.line("nothing was given up: there is nothing to send again")
    for each in found:
        screen.line(f"entry {each.entry} ({each.action}) goes to {each.webhook} again")
