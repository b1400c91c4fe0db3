"""What the API answers: one line a use-case, which calls the loop and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from cd4ml.api import bodies, delivery, governance, registry
from cd4ml.loop import Project


class Reading(NamedTuple):
    """A GET: its path, the fields it takes, and the use-case that answers."""

    path: str
    asks: type[bodies.Asked]
    answer: Callable[[Project, Any], object]
    summary: str
    method: Literal["GET"] = "GET"


class Asking(NamedTuple):
    """A GET whose answer depends on who asks: the header may say so, and need not."""

    path: str
    asks: type[bodies.Asked]
    answer: Callable[[Project, Any, str], object]
    summary: str
    method: Literal["GET"] = "GET"


class Acting(NamedTuple):
    """A POST: like a GET, and somebody does it."""

    path: str
    asks: type[bodies.Asked]
    act: Callable[[Project, Any, str], object]
    summary: str
    method: Literal["POST"] = "POST"


class Minting(NamedTuple):
    """A POST that depends on the secret with which somebody does it; "" where none is shown."""

    path: str
    asks: type[bodies.Asked]
    mint: Callable[[Project, Any, str, str], object]
    summary: str
    method: Literal["POST"] = "POST"


class Received(NamedTuple):
    """A body as it came: its bytes, what it says it is, and what its sender calls it."""

    body: bytes
    content_type: str
    key: str


class Receiving(NamedTuple):
    """A POST of something else than fields, by somebody who shows a token."""

    path: str
    asks: type[bodies.Asked]
    takes: tuple[str, ...]  # content types
    receive: Callable[[Project, Any, Received, str], object]
    summary: str
    method: Literal["POST"] = "POST"


# The use-cases are imported when they are asked for: the console should be up at once.


def _status(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.status import status

    return status(project)


def _datasets(project: Project, asked: bodies.Words, actor: str) -> object:
    from cd4ml.loop.catalog import catalog

    return catalog(project, asked.query, limit=asked.limit, actor=actor)


def _dataset(project: Project, asked: bodies.DatasetAsked, actor: str) -> object:
    from cd4ml.loop.ingest import show_dataset
    from cd4ml.loop.refs import moment_in

    moment = moment_in(asked.as_of) if asked.as_of else None
    return show_dataset(project, asked.ref, as_of=moment, actor=actor)


def _profile(project: Project, asked: bodies.Ref, actor: str) -> object:
    from cd4ml.loop.diff import profile

    return profile(project, asked.ref, actor=actor)


def _diff(project: Project, asked: bodies.Versions, actor: str) -> object:
    from cd4ml.loop.diff import diff

    key = [name.strip() for name in asked.key.split(",") if name.strip()]
    return diff(project, asked.before, asked.after, key=key, actor=actor)


def _register(project: Project, asked: bodies.Register, actor: str) -> object:
    from cd4ml.loop.ingest import ingest

    return ingest(project, asked.name, note=asked.note, actor=actor)


def _log(project: Project, asked: bodies.LogAsked, actor: str) -> object:
    from cd4ml.loop.versions import log

    return log(project, asked.ref, limit=asked.limit, actor=actor)


def _files(project: Project, asked: bodies.Ref) -> object:
    from cd4ml.loop.versions import files

    return files(project, asked.ref)


def _tag(project: Project, asked: bodies.TagAsked, actor: str) -> object:
    from cd4ml.loop.versions import tag

    return tag(project, asked.ref, asked.tag, actor=actor)


def _untag(project: Project, asked: bodies.UntagAsked, actor: str) -> object:
    from cd4ml.loop.versions import untag

    return untag(project, asked.ref, asked.tag, actor=actor)


def _verify(project: Project, asked: bodies.VerifyAsked, actor: str) -> object:
    from cd4ml.loop.versions import verify

    return verify(project, asked.ref, actor=actor)


def _gc(project: Project, asked: bodies.CollectAsked, actor: str) -> object:
    from cd4ml.loop.versions import gc

    return gc(project, keep=asked.keep, is_rehearsed=asked.dry_run, actor=actor)


def _runs(project: Project, asked: bodies.RunsAsked) -> object:
    from cd4ml.loop.compare import runs

    return runs(
        project,
        experiment=asked.experiment,
        search=asked.search,
        where=asked.where,
        sort=asked.sort,
        limit=asked.limit,
        offset=asked.skip,
    )


def _logged(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.runs import run_details

    return run_details(project, asked.number)


def _points(project: Project, asked: bodies.PointsAsked) -> object:
    from cd4ml.loop.runs import points

    return points(project, asked.number, asked.metric, offset=asked.skip, limit=asked.limit)


def _describe_run(project: Project, asked: bodies.DescribeRun, actor: str) -> object:
    from cd4ml.loop.runs import describe_run

    return describe_run(
        project,
        asked.number,
        name=asked.name,
        note=asked.note,
        tags=asked.tags,
        untag=asked.untag,
        actor=actor,
    )


def _delete_run(project: Project, asked: bodies.Number, actor: str) -> object:
    from cd4ml.loop.runs import delete_runs

    return delete_runs(project, [asked.number], actor=actor)[0]


def _restore_run(project: Project, asked: bodies.Number, actor: str) -> object:
    from cd4ml.loop.runs import restore_runs

    return restore_runs(project, [asked.number], actor=actor)[0]


def _experiments(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.experiments import list_experiments

    return list_experiments(project)


def _searches(project: Project, asked: bodies.SearchesAsked) -> object:
    from cd4ml.loop.search import searches

    return searches(project, limit=asked.limit)


def _search(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.search import search_report

    return search_report(project, asked.number)


def _run(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.compare import run_report

    return run_report(project, asked.number)


def _comparison(project: Project, asked: bodies.RefsAsked) -> object:
    from cd4ml.loop.compare import compare

    return compare(project, asked.refs.split(","))


def _judge(project: Project, asked: bodies.Judge, actor: str) -> object:
    from cd4ml.loop.evaluate import evaluate

    return evaluate(project, asked.run, actor=actor)


def _verdicts(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.evaluate import verdicts

    return verdicts(project)


def _verdict(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.evaluate import verdict_of

    return verdict_of(project, asked.number)


def _weakest(project: Project, asked: bodies.SlicesAsked) -> object:
    from cd4ml.loop.weakest import weakest

    return weakest(
        project, asked.number, metric=asked.metric, most=asked.most, min_rows=asked.min_rows
    )


def _releases(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.promote import releases

    return releases(project)


def _release(project: Project, asked: bodies.Number) -> object:
    from cd4ml.loop.promote import release_details

    return release_details(project, asked.number)


def _offer(project: Project, asked: bodies.Offer, actor: str) -> object:
    from cd4ml.loop.promote import request

    return request(
        project,
        asked.version,
        to=asked.to,
        reason=asked.reason,
        is_emergency=asked.emergency,
        actor=actor,
    )


def _approve(project: Project, asked: bodies.Agree, actor: str) -> object:
    from cd4ml.loop.promote import approve

    return approve(project, asked.number, reason=asked.reason, content=asked.content, actor=actor)


def _reject(project: Project, asked: bodies.Decide, actor: str) -> object:
    from cd4ml.loop.promote import reject

    return reject(project, asked.number, reason=asked.reason, actor=actor)


def _abort(project: Project, asked: bodies.Decide, actor: str) -> object:
    from cd4ml.loop.promote import abort

    return abort(project, asked.number, reason=asked.reason, actor=actor)


def _stand(project: Project, asked: bodies.StandAsked, actor: str) -> object:
    from cd4ml.loop.promote import stand

    return stand(
        project,
        model=asked.model,
        environment=asked.environment,
        until=asked.until,
        reason=asked.reason,
        margins=asked.margins,
        actor=actor,
    )


def _undo(project: Project, asked: bodies.UndoAsked, actor: str) -> object:
    from cd4ml.loop.promote import undo
    from cd4ml.loop.restored import restored

    release = undo(
        project,
        environment=asked.environment,
        model=asked.model,
        reason=asked.reason,
        actor=actor,
    )
    return restored(project, release)


def _windows(project: Project, asked: bodies.InEnvironment) -> object:
    from cd4ml.loop.watch import windows

    return windows(project, environment=asked.environment)


def _alerts(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.watch import alerts

    return alerts(project)


def _label(project: Project, asked: bodies.LabelsAsked, actor: str) -> object:
    from cd4ml.loop.label import label

    return label(project, rows=asked.labels, actor=actor)


def _retrain(project: Project, asked: bodies.Because, actor: str) -> object:
    from cd4ml.loop.retrain import ask

    return ask(project, reason=asked.reason, actor=actor)


def _why(project: Project, asked: bodies.Ref) -> object:
    from cd4ml.loop.why import why

    return why(project, asked.ref)


def _explain(project: Project, asked: bodies.Ref) -> object:
    from cd4ml.loop.explain import explain_prediction

    return explain_prediction(project, asked.ref)


def _explain_rows(project: Project, asked: bodies.ExplainAsked, _: str) -> object:
    from cd4ml.loop.explain import explain_rows

    return explain_rows(project, asked.ref, asked.rows)


def _lineage(project: Project, asked: bodies.LineageAsked) -> object:
    from cd4ml.loop.lineage import lineage

    up, down = asked.way != "down", asked.way != "up"
    return lineage(project, asked.ref, column=asked.column, up=up, down=down, limit=asked.limit)


def _impact(project: Project, asked: bodies.ImpactAsked) -> object:
    from cd4ml.loop.impact import impact

    return impact(project, asked.ref, column=asked.column)


def _ledger(project: Project, asked: bodies.EntriesAsked) -> object:
    from cd4ml.loop.audit import listed_entries

    return listed_entries(project, subject=asked.subject, limit=asked.limit)


def _audit(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.audit import verify

    return verify(project)


def _people(project: Project, _: bodies.Nothing) -> object:
    from cd4ml.loop.people import people

    return people(project)


def _add_person(project: Project, asked: bodies.PersonAsked, actor: str) -> object:
    from cd4ml.loop.people import add_person

    return add_person(project, asked.name, roles=asked.roles, actor=actor)


def _remove_person(project: Project, asked: bodies.RemovalAsked, actor: str) -> object:
    from cd4ml.loop.people import remove_person

    return remove_person(project, asked.name, reason=asked.reason, actor=actor)


def _pulls(project: Project, asked: bodies.PullsAsked) -> object:
    from cd4ml.loop.due import pulls

    return pulls(project, asked.name, limit=asked.limit)


def _push(project: Project, asked: bodies.RowsAsked, received: Received, actor: str) -> object:
    from cd4ml.loop.push import push

    body, content_type, key = received
    return push(project, asked.name, body, content_type=content_type, key=key, actor=actor)


ENDPOINTS: tuple[Reading | Asking | Acting | Minting | Receiving, ...] = (
    Reading("/status", bodies.Nothing, _status, "The eight stages of the loop as they stand."),
    Asking("/datasets", bodies.Words, _datasets, "Datasets with owner and newest version."),
    Asking("/datasets/{ref}", bodies.DatasetAsked, _dataset, "One dataset, or one version of it."),
    Asking("/datasets/{ref}/profile", bodies.Ref, _profile, "What a version's columns hold."),
    Asking("/diff", bodies.Versions, _diff, "What is different between two versions."),
    Acting("/datasets", bodies.Register, _register, "Register a dataset's files as a version."),
    Reading("/pulls", bodies.PullsAsked, _pulls, "What was read by itself, or could not be."),
    Receiving(
        "/data/{name}/rows",
        bodies.RowsAsked,
        (
            "application/json",
            "application/x-ndjson",
            "application/jsonl",
            "application/vnd.apache.parquet",
        ),
        _push,
        "Append rows to a dataset: at most 100,000, as a version of their own.",
    ),
    Asking("/datasets/{ref}/log", bodies.LogAsked, _log, "Versions of a dataset, newest first."),
    Reading("/datasets/{ref}/files", bodies.Ref, _files, "The files that a version consists of."),
    Acting("/datasets/{ref}/tag", bodies.TagAsked, _tag, "Give a version a name."),
    Acting("/datasets/{ref}/untag", bodies.UntagAsked, _untag, "Take a name from its version."),
    Acting("/datasets/verify", bodies.VerifyAsked, _verify, "Read the bytes of versions again."),
    Acting("/datasets/gc", bodies.CollectAsked, _gc, "Remove what need not be kept."),
    Reading("/runs", bodies.RunsAsked, _runs, "Runs with their steps and metrics."),
    Reading("/comparison", bodies.RefsAsked, _comparison, "Runs side by side."),
    Reading("/runs/{number}", bodies.Number, _run, "One run with its steps and metrics."),
    Reading("/runs/{number}/logged", bodies.Number, _logged, "All that was logged in a run."),
    Reading("/runs/{number}/points", bodies.PointsAsked, _points, "A metric at each step."),
    Acting("/runs/{number}/describe", bodies.DescribeRun, _describe_run, "Name or tag a run."),
    Acting("/runs/{number}/delete", bodies.Number, _delete_run, "Take a run out of the lists."),
    Acting("/runs/{number}/restore", bodies.Number, _restore_run, "Bring a deleted run back."),
    Reading("/experiments", bodies.Nothing, _experiments, "Experiments, the newest first."),
    Reading("/models", bodies.Nothing, registry.models, "Models and their versions."),
    Reading("/models/registered", bodies.Nothing, registry.registered, "Registered models."),
    Reading("/models/card/{ref:path}", bodies.Ref, registry.card, "The card of a version."),
    Reading("/models/contract/{ref:path}", bodies.Ref, registry.contract, "What requests keep."),
    Reading(
        "/models/contracts", bodies.TwoContracts, registry.contracts, "What a contract breaks."
    ),
    Reading("/models/history/{ref:path}", bodies.Ref, registry.history, "Moves of aliases."),
    Acting("/models/graduate", bodies.Graduate, registry.graduate, "Make a run's model a version."),
    Acting("/models/package", bodies.Ref, registry.package, "Make what a version answers with."),
    Acting("/models/alias", bodies.AliasAsked, registry.set_alias, "Point an alias at a version."),
    Acting("/models/unalias", bodies.UnaliasAsked, registry.remove_alias, "Take an alias away."),
    Acting("/models/describe", bodies.Describe, registry.describe, "Describe and tag."),
    Acting("/models/delete", bodies.RefAndWhy, registry.delete, "Hide a version or a model."),
    Acting("/models/restore", bodies.RefAndWhy, registry.restore, "Bring it back."),
    Reading("/searches", bodies.SearchesAsked, _searches, "The newest searches, how far they are."),
    Reading("/searches/{number}", bodies.Number, _search, "One search: trials and what mattered."),
    Reading("/verdicts", bodies.Nothing, _verdicts, "What the gates said of every candidate."),
    Reading("/verdicts/{number}", bodies.Number, _verdict, "One verdict with all its findings."),
    Reading(
        "/verdicts/{number}/slices",
        bodies.SlicesAsked,
        _weakest,
        "The slices of the holdout on which its candidate is weakest.",
    ),
    Acting("/gate", bodies.Judge, _judge, "Judge a run or a version by every gate."),
    Reading("/releases", bodies.Nothing, _releases, "All releases."),
    Reading("/releases/{number}", bodies.Number, _release, "One release and its history."),
    Acting("/releases", bodies.Offer, _offer, "Request a release."),
    Acting("/releases/{number}/approve", bodies.Agree, _approve, "Agree to a release."),
    Acting("/releases/{number}/reject", bodies.Decide, _reject, "Decide against a release."),
    Acting(
        "/releases/{number}/request-changes",
        bodies.Decide,
        governance.request_changes,
        "Let a release wait until its requester asks again.",
    ),
    Acting("/releases/{number}/again", bodies.Decide, governance.ask_again, "Ask once more."),
    Acting("/releases/{number}/withdraw", bodies.Decide, governance.withdraw, "Take it back."),
    Acting("/releases/{number}/abort", bodies.Decide, _abort, "Stop a rollout."),
    Acting("/releases/{number}/undo", bodies.Decide, governance.undo_release, "Go back from it."),
    Acting("/releases/{number}/review", bodies.Decide, governance.review, "Review an emergency."),
    Reading("/reviews", bodies.Nothing, governance.reviews, "Emergencies that nobody reviewed."),
    Acting("/standing-approvals", bodies.StandAsked, _stand, "Approve retrained versions ahead."),
    Acting(
        "/standing-approvals/{number}/revoke",
        bodies.Decide,
        governance.revoke_standing,
        "End a standing approval.",
    ),
    Acting("/undo", bodies.UndoAsked, _undo, "Put the version before back in charge."),
    Reading("/production", delivery.ProductionAsked, delivery.production, "What was in charge."),
    Reading("/metrics", delivery.MetricsAsked, delivery.metrics, "How the project delivers."),
    Acting("/gate/replay", delivery.ReplayAsked, delivery.replay, "Judge again by other gates."),
    Reading("/webhooks", bodies.Nothing, delivery.webhooks, "Who else is told, and how far."),
    Reading("/deliveries", delivery.WebhookAsked, delivery.deliveries, "What webhooks are sent."),
    Acting("/webhooks/{webhook}/resend", delivery.ResendAsked, delivery.resend, "Send again."),
    Reading("/windows", bodies.InEnvironment, _windows, "What monitoring measured."),
    Reading("/alerts", bodies.Nothing, _alerts, "What monitoring raised."),
    Acting("/labels", bodies.LabelsAsked, _label, "Say what really happened."),
    Acting("/retrain", bodies.Because, _retrain, "Ask for a retraining; a job carries it out."),
    Reading("/why/{ref:path}", bodies.Ref, _why, "What is behind a prediction, version or run."),
    Reading("/explain/{ref:path}", bodies.Ref, _explain, "What each field added to a prediction."),
    Acting(
        "/explain", bodies.ExplainAsked, _explain_rows, "What a version answers to rows, and why."
    ),
    Reading("/lineage/{ref:path}", bodies.LineageAsked, _lineage, "What came from what."),
    Reading("/impact/{ref:path}", bodies.ImpactAsked, _impact, "What is affected if it is wrong."),
    Reading("/ledger", bodies.EntriesAsked, _ledger, "Who did what, when and why; newest first."),
    Reading("/audit", bodies.Nothing, _audit, "Check that the ledger is whole."),
    Acting("/audit/checkpoint", bodies.Nothing, governance.checkpoint, "Sign the ledger."),
    Reading("/people", bodies.Nothing, _people, "Everybody who may act."),
    Acting("/people", bodies.PersonAsked, _add_person, "Add a person, or replace their roles."),
    Acting("/people/remove", bodies.RemovalAsked, _remove_person, "Let a person act no more."),
    Reading("/tokens", bodies.Nothing, governance.tokens, "Every token, never its secret."),
    Minting("/tokens", bodies.TokenAsked, governance.create_token, "Make a token."),
    Acting("/tokens/{number}/revoke", bodies.Number, governance.revoke_token, "End a token."),
)
