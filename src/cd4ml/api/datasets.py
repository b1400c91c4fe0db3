"""What the API answers about the project and its datasets."""

from __future__ import annotations

from cd4ml.api import bodies
from cd4ml.api.endpoint import Acting, Asking, Endpoint, Reading, Received, Receiving
from cd4ml.loop import Project


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


def _pulls(project: Project, asked: bodies.PullsAsked) -> object:
    from cd4ml.loop.due import pulls

    return pulls(project, asked.name, limit=asked.limit)


def _push(project: Project, asked: bodies.RowsAsked, received: Received, actor: str) -> object:
    from cd4ml.loop.push import push

    body, content_type, key = received
    return push(project, asked.name, body, content_type=content_type, key=key, actor=actor)


DATASETS: tuple[Endpoint, ...] = (
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
)
