"""Processes that stay: the console with its background work, and endpoints."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from cd4ml.cli.cluster import is_on_ray, takes_cluster
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands, Parser, UsageError, at_most_a_million

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.work import WorkReport

HOST, EVERYWHERE = "127.0.0.1", "0.0.0.0"
CONSOLE_PORT, ENDPOINT_PORT = 8400, 8401

_SAGEMAKER_PORT = "SAGEMAKER_BIND_TO_PORT"  # how SageMaker tells a container its port
_LAST_PORT = 65535
_MOST_WORKERS = 256


def add(commands: Commands) -> None:
    """`serve`, `up` and `work`."""
    parser = commands.add(
        "serve",
        serve,
        "answer requests for an environment over HTTP",
        "Takes the plan of the environment's newest release, and every later one, while it runs;\n"
        "it goes on answering when the database is away. POST /predict takes a row,\n"
        'or several: {"rows": [...]}.',
    )
    parser.add_argument("--in", dest="environment", metavar="ENVIRONMENT", required=True)
    _takes_address(parser, ENDPOINT_PORT, or_in=_SAGEMAKER_PORT)
    parser.add_argument(
        "--workers",
        type=_workers,
        metavar="N",
        default=0,
        help="answer by so many processes; one that dies is replaced (default: by this one)",
    )
    parser.add_argument(
        "--tokens",
        action="store_true",
        help="answer only who shows a token with the scope predict, of `cd4ml token create`",
    )
    takes_cluster(parser)
    _takes_replicas(parser)
    parser = commands.add(
        "up",
        up,
        "run the console, the HTTP API and the background work",
        "Background work moves rollouts on, collects what endpoints answered, measures windows,\n"
        "raises alerts, carries out retraining and tells webhooks. Any number of processes may do\n"
        "it.",
        speaks=True,
    )
    _takes_address(parser, CONSOLE_PORT)
    parser.add_argument(
        "--tokens",
        action="store_true",
        help="answer only who shows a token, of `cd4ml token create`; browsers ask for a name and"
        " the token as the password",
    )
    parser.add_argument("--without-work", action="store_true", help="only console and API")
    parser.add_argument(
        "--allow-host",
        dest="hosts",
        metavar="NAME",
        action="append",
        default=[],
        help="another name under which browsers may reach it; may be repeated",
    )
    commands.add(
        "work",
        work,
        "do one turn of the background work, for cron",
        "Leaves with 1 if a retraining that it carried out failed.",
    )


def serve(given: Given) -> Answer[None]:
    """Serve until told to end."""
    from cd4ml.loop.serve import serve as answer_requests

    words = given.words
    if is_on_ray(words):
        return _serve_on_ray(given)
    if words.min_replicas or words.max_replicas:
        msg = "--min-replicas and --max-replicas are of a Ray cluster, and --on ray is not said"
        raise UsageError(msg, hint="--workers says how many processes of this machine answer")
    answer_requests(
        given.project,
        environment=words.environment,
        host=_endpoint_host(words),
        port=_endpoint_port(words),
        needs_token=words.tokens,
        workers=words.workers,
    )
    return Answer(None, _say_nothing)


def _serve_on_ray(given: Given) -> Answer[None]:
    """Serve on a cluster until told to end."""
    from cd4ml.loop.serve_on_ray import replicas_of, serve_on_ray

    words = given.words
    if words.workers:
        msg = "--workers are processes of this machine, and --on ray has replicas on a cluster"
        raise UsageError(msg, hint="--min-replicas and --max-replicas say how many")
    serve_on_ray(
        given.project,
        environment=words.environment,
        host=_endpoint_host(words),
        port=_endpoint_port(words),
        needs_token=words.tokens,
        address=words.ray,
        replicas=replicas_of(given.project, least=words.min_replicas, most=words.max_replicas),
    )
    return Answer(None, _say_nothing)


def up(given: Given) -> Answer[None]:
    """Run the control plane until told to end."""
    from cd4ml.cli.up import run

    words = given.words
    run(
        given.project,
        host=words.host,
        port=words.port,
        hosts=tuple(words.hosts),
        works=not words.without_work,
        needs_token=words.tokens,
        is_json=given.is_json,
    )
    return Answer(None, _say_nothing)


def work(given: Given) -> Answer[WorkReport]:
    """One turn of the background work."""
    from cd4ml.cli.up import owner
    from cd4ml.loop.work import work as turn

    report = turn(given.project, owner=owner())
    has_failed = any(job.state == "failed" for job in report.jobs)
    return Answer(report, _show_work, exit_code=1 if has_failed else 0)


def _takes_replicas(parser: Parser) -> None:
    for name, word in (("min", "at least"), ("max", "at most")):
        parser.add_argument(
            f"--{name}-replicas",
            metavar="N",
            type=at_most_a_million,
            help=f"of the endpoint on a Ray cluster, {word} (default: as [replicas] says)",
        )


def _takes_address(parser: Parser, port: int, *, or_in: str = "") -> None:
    host = f"{HOST}; {EVERYWHERE}, if the variable {or_in} is set" if or_in else HOST
    known = f"{port}; or the variable {or_in}" if or_in else f"{port}"
    parser.add_argument(
        "--host",
        default=None if or_in else HOST,
        help=f"the address to listen on (default: {host})",
    )
    parser.add_argument(
        "--port", type=_port, default=None if or_in else port, help=f"(default: {known})"
    )


def _endpoint_host(words: argparse.Namespace) -> str:
    """What was said; in a container of SageMaker's, whose requests come from outside, all of them."""
    if words.host is not None:
        return str(words.host)
    return EVERYWHERE if os.environ.get(_SAGEMAKER_PORT) else HOST


def _endpoint_port(words: argparse.Namespace) -> int:
    """What was said, or the variable says.

    Raises:
        UsageError: If that is no port.
    """
    given = os.environ.get(_SAGEMAKER_PORT, "")
    if words.port is not None or not given:
        return ENDPOINT_PORT if words.port is None else int(words.port)
    try:
        return _port(given)
    except argparse.ArgumentTypeError as error:
        msg = f"the variable {_SAGEMAKER_PORT}: {error}"
        raise UsageError(msg, hint="correct it, or say --port") from None


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) <= _LAST_PORT):
        msg = f"expected a port from 0 to {_LAST_PORT}, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _workers(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_WORKERS):
        msg = f"expected 1 to {_MOST_WORKERS} processes, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _say_nothing(_screen: Screen, _value: None) -> None:
    """Everything was said when it began."""


def _show_work(screen: Screen, report: WorkReport) -> None:
    from cd4ml.cli.screen import counted

    screen.line(f"{counted(report.collected, 'answer')} collected")
    for release in report.releases:
        screen.line(f"{release.ref} to {release.environment}: {release.state.replace('_', ' ')}")
    for window in report.windows:
        screen.line(f"window of {window.model} from {window.start:%Y-%m-%d}: {window.outcome}")
    for alert in report.alerts:
        screen.line(f"{alert.ref} {alert.kind}: {alert.message}")
    if report.told:
        screen.line(f"{counted(report.told, 'event')} taken by webhooks")
    for job in report.jobs:
        screen.line(f"job/{job.number} {job.kind} {job.state}: {job.reason}")
