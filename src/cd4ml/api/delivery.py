"""What the API answers about delivery: what was in production, how it goes, who is told."""

from __future__ import annotations

from typing import Literal

from cd4ml.api.bodies import Asked, Limit, Nothing
from cd4ml.api.endpoint import Acting, Endpoint, Reading
from cd4ml.loop import Project


class ProductionAsked(Asked, frozen=True):
    """What was in production: at a moment (now without one), in an environment (else the last)."""

    at: str = ""
    environment: str = ""
    model: str = ""


class MetricsAsked(Asked, frozen=True):
    """Figures of delivery: of all time, or of the newest `last` days, weeks or months."""

    by: Literal["day", "week", "month", "all"] = "all"
    environment: str = ""
    model: str = ""
    last: Limit = 12


def production(project: Project, asked: ProductionAsked) -> object:
    """What answered at a moment."""
    from cd4ml.loop.production import production as answer
    from cd4ml.loop.refs import moment_in

    at = moment_in(asked.at) if asked.at else None
    return answer(project, at=at, environment=asked.environment, model=asked.model)


def metrics(project: Project, asked: MetricsAsked) -> object:
    """How the project delivers."""
    from cd4ml.loop.metrics import metrics as measure

    return measure(
        project,
        by=asked.by,
        environment=asked.environment,
        model=asked.model,
        last=asked.last,
    )


class ReplayAsked(Asked, frozen=True):
    """A policy, as the text of `[[gate]]` tables ("": the project's own), for past candidates."""

    policy: str = ""
    environment: str = ""


def replay(project: Project, asked: ReplayAsked, _: str) -> object:
    """All past candidates by another policy; nothing is written."""
    from cd4ml.loop.replay import replay as judge_again

    return judge_again(project, text=asked.policy, environment=asked.environment)


class WebhookAsked(Asked, frozen=True):
    """Deliveries: of one webhook, or of all; those given up, unless another state is named."""

    webhook: str = ""
    state: Literal["waiting", "delivered", "dead"] = "dead"


class ResendAsked(Asked, frozen=True):
    """What a webhook is sent again: one entry of the ledger, or (0) all that were given up."""

    webhook: str
    entry: int = 0


def webhooks(project: Project, _: Nothing) -> object:
    """Who is told, and how far."""
    from cd4ml.loop.webhooks import webhooks as every

    return every(project)


def deliveries(project: Project, asked: WebhookAsked) -> object:
    """What is on its way, or was given up."""
    from cd4ml.loop.webhooks import deliveries as find

    return find(project, webhook=asked.webhook, state=asked.state)


def resend(project: Project, asked: ResendAsked, actor: str) -> object:
    """Send it again."""
    from cd4ml.loop.webhooks import resend as queue_again

    return queue_again(project, asked.webhook, entry=asked.entry, actor=actor)


DELIVERY: tuple[Endpoint, ...] = (
    Reading("/production", ProductionAsked, production, "What was in charge."),
    Reading("/metrics", MetricsAsked, metrics, "How the project delivers."),
    Acting("/gate/replay", ReplayAsked, replay, "Judge again by other gates."),
    Reading("/webhooks", Nothing, webhooks, "Who else is told, and how far."),
    Reading("/deliveries", WebhookAsked, deliveries, "What webhooks are sent."),
    Acting("/webhooks/{webhook}/resend", ResendAsked, resend, "Send again."),
)
