"""Why is it as it is? From one live prediction to the rows, code and people behind it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from cd4ml.errors import InvalidInput, NotFound, Unavailable
from cd4ml.loop import behind
from cd4ml.loop.behind import Sentence
from cd4ml.loop.refs import dataset_version_in, number_in, version_in
from cd4ml.loop.touched import Touched, n_live, touched
from cd4ml.loop.watch import collect
from cd4ml.models.prediction_id import parse
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Arm, Plan
from cd4ml.records.prediction import Prediction
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.verdict import Verdict
from cd4ml.store import lineage, rows
from cd4ml.store.address import short
from cd4ml.store.masking import in_words, masked_in
from cd4ml.store.project import Project

_DECISIONS = ("release", "verdict", "plan")  # what they are about says what came of it
_PREDICTION = re.compile(r"[0-9a-f]{32}")


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """What stands behind a thing, nearest first, and what came of it.

    `touched` are the answers of the versions that were made from it, `n_predictions` how
    many of them somebody was given.
    """

    subject: str
    sentences: tuple[Sentence, ...]
    touched: tuple[Touched, ...] = ()
    n_predictions: int = 0


def why(project: Project, ref: str) -> Explanation:
    """Explain a prediction (by its id), version, run, verdict, release, plan or dataset version.

    Raises:
        NotFound: If there is no such thing.
        InvalidInput: If the reference has none of the known forms.
    """
    if _PREDICTION.fullmatch(ref.lower()):
        ref = ref.lower()
        return Explanation(subject=ref, sentences=tuple(_prediction(project, ref)))
    explain = _explainer(ref)
    with project.database.read() as connection:
        sentences = explain(connection, ref)
        walk = _made_from(connection, ref)
        answers = touched(connection, walk.hops, itself=walk.version)
    return Explanation(
        subject=ref,
        sentences=(*sentences, *_answers(answers), *_users(walk)),
        touched=answers,
        n_predictions=n_live(answers),
    )


class _Walk(NamedTuple):
    """What was made from a dataset version, a run or a model version, short of what it answered."""

    hops: tuple[lineage.Hop, ...] = ()
    version: str = ""
    is_dataset: bool = False


def _made_from(connection: sa.Connection, ref: str) -> _Walk:
    kind = ref.partition("/")[0]
    if kind in _DECISIONS:
        return _Walk()
    if "@" in ref:
        version = rows.get(connection, DatasetVersion, *dataset_version_in(ref))
        return _Walk(_downstream(connection, version.digest), is_dataset=True)
    if kind == "run":
        return _Walk(_downstream(connection, f"run/{number_in(ref, 'run')}"))
    name = "{}/{}".format(*version_in(ref))
    return _Walk(_downstream(connection, name), version=name)


def _downstream(connection: sa.Connection, start: str) -> tuple[lineage.Hop, ...]:
    found = lineage.downstream(connection, start, without=lineage.THROUGH_PRODUCTION)
    return tuple(found)


def _answers(answers: tuple[Touched, ...]) -> list[Sentence]:
    if not answers:
        return []
    versions = len({each.version for each in answers})
    by = f"{versions:,} {'version' if versions == 1 else 'versions'}"
    total = ("live predictions", f"{n_live(answers):,}, by {by}")
    return [total, *(("answered", each.words) for each in answers)]


def _explainer(ref: str) -> Callable[[sa.Connection, str], list[Sentence]]:
    by_kind = {
        "run": _run_named,
        "release": _release_named,
        "verdict": _verdict_named,
        "plan": _plan_named,
    }
    kind = ref.partition("/")[0]
    if "@" in ref:
        return _dataset_named
    if kind in by_kind and "/" in ref:
        return by_kind[kind]
    if "/" in ref:
        return _version_named
    msg = f"expected a prediction id, or a name like delay/1, run/3 or flights@1, got {ref!r}"
    raise InvalidInput(msg, hint="a prediction id has 32 hex digits")


def _prediction(project: Project, prediction_id: str) -> list[Sentence]:
    named = named_in(project, prediction_id)
    try:
        answers = _rows_of(project, prediction_id)
    except Unavailable as error:
        return _without_row(project, named, error)
    answer = answers[0]
    masked = masked_in(answer.inputs, project.settings.capture)
    request = {name: masked.get(name, value) for name, value in answer.inputs.items()}
    sentences = [
        ("prediction", _answer_text(answer)),
        ("request", msgspec.json.encode(request).decode()),
        *((("masked", f"by [capture], {in_words(masked)}"),) if masked else ()),
        ("truth", _truth(project, answer)),
        *(("shadow", _answer_text(shadow)) for shadow in answers[1:]),
    ]
    with project.database.read() as connection:
        version = rows.get(connection, ModelVersion, answer.model, answer.number)
        return sentences + behind.of_version(connection, version, answer.environment)


def _rows_of(project: Project, prediction_id: str) -> list[Prediction]:
    answers = project.log.prediction(prediction_id)
    if not answers:
        collect(project)  # answered a moment ago, perhaps
        answers = project.log.prediction(prediction_id)
    if not answers:
        raise _unknown(prediction_id)
    return answers


class Named(NamedTuple):
    """What a prediction's id says by itself: when, and under which plan."""

    at: datetime
    plan: Plan

    @property
    def versions(self) -> tuple[Arm, ...]:
        """Who may have given the answer: one, unless a canary was on its way."""
        return tuple(arm for arm in self.plan.arms if arm.role != "shadow")


def named_in(project: Project, prediction_id: str) -> Named:
    """What an id says, without a look at the log.

    Raises:
        InvalidInput: If it is no prediction id.
        NotFound: If there is no such plan, so that nobody can have answered under it.
    """
    at, plan = parse(prediction_id)
    with project.database.read() as connection:
        found = rows.find(connection, Plan, number=plan)
    if not found:
        raise _unknown(prediction_id)
    return Named(at, found[0])


def _unknown(prediction_id: str) -> NotFound:
    msg = f"no prediction {prediction_id!r} in the log"
    return NotFound(msg, hint="was it answered by this project?")


def _without_row(project: Project, named: Named, error: Unavailable) -> list[Sentence]:
    """What is known while the log cannot be read: its id names the plan, and that the versions."""
    plan = named.plan
    by = " or ".join(arm.ref for arm in named.versions)
    asked = f"asked at {named.at:%Y-%m-%d %H:%M:%S} UTC under {plan.ref}, so answered by {by}"
    with project.database.read() as connection:
        further = [
            sentence
            for arm in named.versions
            for sentence in behind.of_version(
                connection,
                rows.get(connection, ModelVersion, arm.model, arm.number),
                plan.environment,
            )
        ]
    return [("prediction", asked), ("request", f"cannot be read now: {error.message}"), *further]


def _answer_text(answer: Prediction) -> str:
    score = "no score" if answer.score is None else f"{answer.score:.4f}"
    return (
        f"{score} at {answer.answered_at:%Y-%m-%d %H:%M:%S} UTC, by {answer.model}/{answer.number}"
        f" as {answer.role} of plan/{answer.plan} in {answer.environment}"
    )


def _truth(project: Project, answer: Prediction) -> str:
    label = project.log.label(answer.prediction_id)
    if label is None:
        return "not known yet"
    when = f"{label['labelled_at']:%Y-%m-%d %H:%M}"
    return f"{label['value']:g}, as {label['labelled_by']} said of {when} UTC"


def _version_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    return behind.of_version(connection, rows.get(connection, ModelVersion, *version_in(ref)), "")


def _plan_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    plan = rows.get(connection, Plan, number_in(ref, "plan"))
    arms = ", ".join(f"{arm.ref} {arm.role} {arm.weight_percent:g} %" for arm in plan.arms)
    made = f"made {plan.made_at:%Y-%m-%d %H:%M} by release/{plan.release}"
    text = f"{plan.ref} in {plan.environment}: {arms} ({made})"
    return [("plan", text), *_release_named(connection, f"release/{plan.release}")]


def _release_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    release = rows.get(connection, Release, number_in(ref, "release"))
    version = rows.get(connection, ModelVersion, release.model, release.version)
    return [
        *behind.of_release(connection, release),
        *behind.made(connection, version),
    ]


def _verdict_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    verdict = rows.get(connection, Verdict, number_in(ref, "verdict"))
    run = rows.get(connection, Run, verdict.run)
    return [*behind.of_verdict(verdict), *behind.of_run(connection, run)]


def _run_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    return behind.of_run(connection, rows.get(connection, Run, number_in(ref, "run")))


def _dataset_named(connection: sa.Connection, ref: str) -> list[Sentence]:
    version = rows.get(connection, DatasetVersion, *dataset_version_in(ref))
    added = f"{version.created_at:%Y-%m-%d %H:%M} by {version.created_by}"
    return [
        ("data", f"{version.ref}: {version.n_rows:,} rows, {version.digest}, added {added}"),
        ("source", f"{version.source} ({version.n_files:,} files)"),
        ("contract", f"{version.outcome} ({short(version.contract) or 'none declared'})"),
    ]


def _users(walk: _Walk) -> list[Sentence]:
    """Whatever was made from data, each once though many ways lead there, nearest first."""
    if not walk.is_dataset:
        return []
    return [("used by", name) for name in dict.fromkeys(hop.node.name for hop in walk.hops)]
