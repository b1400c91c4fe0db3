"""How long does it take to say why, with 1,000,000 predictions and 50,000 edges of lineage?

    python benchmarks/bench_why.py [DATABASE-URL ...]

Prints one JSON object a line: name, value, unit, goal and whether it holds. Without a URL it
measures an SQLite file and a PostgreSQL server of its own, which takes the settings of the
tests. The project is one that a year of weekly retraining leaves behind: models that were
trained, judged, approved and rolled out week by week, each on a shared dataset and on what its
predecessor answered, and a log that was written by the line and collected. Each figure is the
median over different questions of the use-case that `cd4ml why` and `cd4ml production` call.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from contest import figure

sys.path.append(str(Path(__file__).parents[1]))  # the tests' PostgreSQL server

from cd4ml.loop import Project, open_project
from cd4ml.loop.production import production
from cd4ml.loop.watch import collect
from cd4ml.loop.why import named_in, why
from cd4ml.models.prediction_id import make
from cd4ml.records.answer_count import AnswerCount
from cd4ml.records.approval import Approval
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.lineage import Edge, Node
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Arm, Plan
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.verdict import Verdict
from cd4ml.store import ledger, rows
from cd4ml.store.lines import seal
from cd4ml.store.tables import TABLES
from tests.services import postgres

N_PREDICTIONS, N_WEEKS, N_MODELS = 1_000_000, 52, 26
GOAL_MS, QUESTIONS = 50.0, 31
TOGETHER = 50_000  # answers in a segment
SQLITE = "sqlite:///{folder}/cd4ml.db"
BEGIN = datetime(2013, 1, 7, tzinfo=UTC)
WEEK = timedelta(days=7)
SETTINGS = """
[project]
name = "bench"
[data.flights]
path = "nothing.csv"
[environments.production]
approvals = 1
roles = ["release-manager"]
"""


class Week(NamedTuple):
    """What one model left behind in one week, by its numbers."""

    model: str
    number: int  # of its version, and of its week
    n: int  # of its run, verdict, release and plan: they are counted through

    @property
    def at(self) -> datetime:
        """When it was released."""
        return BEGIN + self.number * WEEK

    @property
    def labelled(self) -> str:
        """The dataset of what its predecessor answered."""
        return f"labelled_{self.model}"


def main() -> None:
    """Measure on each database."""
    with ExitStack() as stack:
        for url in sys.argv[1:] or (SQLITE, stack.enter_context(postgres.server())):
            measure(url)


def measure(url: str) -> None:
    """Fill a project, measure, and print."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "cd4ml.toml").write_text(SETTINGS)
        os.environ["CD4ML_DATABASE"] = url.format(folder=folder)
        with open_project(Path(folder)) as project:
            kind = {"sqlite": "SQLite", "postgresql": "PostgreSQL"}[project.database.dialect]
            weeks = fill_graph(project)
            ids = fill_log(project, weeks)
            for name, call, questions in asked(project, weeks, ids):
                tell(f"{kind}, {name}", timed(call, questions), GOAL_MS)
            tell_sizes(project, kind)


def asked(
    project: Project, weeks: list[Week], ids: list[str]
) -> Iterator[tuple[str, Callable[[Any], object], list[Any]]]:
    """The questions of each kind: a name, the use-case, and what it is asked."""
    chance = random.Random(0)

    def some(things: list[Any]) -> list[Any]:
        return [chance.choice(things) for _ in range(QUESTIONS + 1)]

    yield "the version of a prediction, by its id", lambda ref: named_in(project, ref), some(ids)
    yield "why PREDICTION", lambda ref: why(project, ref), some(ids)
    versions = [f"{week.model}/{week.number}" for week in weeks]
    yield "why VERSION", lambda ref: why(project, ref), some(versions)
    own = [f"{week.labelled}@{week.number}" for week in weeks]
    yield "why DATASET of one model", lambda ref: why(project, ref), some(own)
    shared = [f"flights@{number}" for number in range(1, N_WEEKS + 1)]
    yield "why DATASET of all models", lambda ref: why(project, ref), some(shared)
    moments = [week.at + timedelta(hours=14) for week in weeks]
    yield "what was in production at a moment", lambda at: production(project, at=at), some(moments)


def fill_graph(project: Project) -> list[Week]:
    """A year of weekly retraining: its records, and about 50,000 edges between them."""
    weeks = [
        Week(f"m{model:02}", number, (number - 1) * N_MODELS + model + 1)
        for number in range(1, N_WEEKS + 1)
        for model in range(N_MODELS)
    ]
    for number in range(1, N_WEEKS + 1):
        of_week = [week for week in weeks if week.number == number]
        records = [data("flights", number, BEGIN + number * WEEK), *flights_node(number)]
        records += [record for week in of_week for record in left_behind(week)]
        kinds: dict[type[msgspec.Struct], list[msgspec.Struct]] = {}
        for record in records:
            kinds.setdefault(type(record), []).append(record)
        with project.database.write() as connection:
            for kind, same in kinds.items():
                values = [msgspec.to_builtins(each, builtin_types=(datetime,)) for each in same]
                connection.execute(sa.insert(TABLES[kind]), values)
            sealed = zip(of_week, kinds[Release], kinds[Plan], kinds[Approval], strict=True)
            for week, *these in sealed:
                begun(connection, week, these)
    if project.database.dialect == "postgresql":  # as autovacuum does after so many rows
        with project.database.write() as connection:
            connection.execute(sa.text("ANALYZE"))
    return weeks


def begun(connection: sa.Connection, week: Week, records: Sequence[msgspec.Struct]) -> None:
    """Say in the ledger how a week's records came to be, without which nobody believes them."""
    ledger.append(
        connection,
        at=week.at,
        actor="system",
        action="release.begun",
        subject=f"release/{week.n}",
        records=records,
    )


def flights_node(number: int) -> list[msgspec.Struct]:
    """The node of a shared dataset version."""
    at = BEGIN + number * WEEK
    return [
        Node(
            address=digest("flights", number),
            kind="dataset version",
            name=f"flights@{number}",
            seen_at=at,
        )
    ]


def left_behind(week: Week) -> Iterator[msgspec.Struct]:
    """Records, nodes and edges of a run, its verdict, version, approval, release and plan."""
    yield from records_of(week)
    yield from nodes_of(week)
    for child, parent, role in edges_of(week):
        yield Edge(child=child, parent=parent, role=role)


def digest(name: str, number: int) -> str:
    """A content address."""
    return f"blake3:{name}-{number:0>8}".ljust(71, "0")


def data(name: str, number: int, at: datetime) -> DatasetVersion:
    """A dataset version."""
    address = digest(name, number)
    return DatasetVersion(
        dataset=name, number=number, digest=address, content=address, n_rows=10_000, n_files=1,
        n_bytes=1, source="bench", created_at=at, created_by="bench",
    )  # fmt: skip


def records_of(week: Week) -> Iterator[msgspec.Struct]:
    """The rows of the tables."""
    n, at, artifact = week.n, week.at, digest(f"model-{week.model}", week.number)
    refs = {"flights": f"flights@{week.number}", "labelled": f"{week.labelled}@{week.number}"}
    digests = {
        "flights": digest("flights", week.number),
        "labelled": digest(week.labelled, week.number),
    }
    yield data(week.labelled, week.number, at)
    yield Run(
        number=n, experiment="default", state="finished", refs=refs, datasets=digests,
        started_at=at, created_by="system",
    )  # fmt: skip
    yield Verdict(
        number=n, model=week.model, run=n, artifact=artifact, policy=digest("policy", 1),
        holdout=digest(f"holdout-{week.model}", week.number), findings=(), outcome="pass",
        judged_at=at, judged_by="system",
    )  # fmt: skip
    yield ModelVersion(
        model=week.model, number=week.number, run=n, verdict=n, artifact=artifact,
        contract=digest("contract", 1), created_at=at, created_by="system",
    )  # fmt: skip
    content = digest("content", n)
    yield Release(
        number=n, model=week.model, version=week.number, environment="production",
        state="released" if week.number == N_WEEKS else "superseded", decides={}, content=content,
        step=1, plan=n, replaces=max(0, n - N_MODELS), requested_by="system", requested_at=at,
        asked_at=at, entered_at=at,
    )  # fmt: skip
    yield Approval(
        number=n, release=n, subject=content, decision="approve", reason="better", decided_at=at,
        decided_by="ruth",
    )  # fmt: skip
    arm = Arm(
        role="champion",
        model=week.model,
        number=week.number,
        artifact=artifact,
        weight_percent=100.0,
    )
    yield Plan(
        number=n, environment="production", model=week.model, arms=(arm,), release=n, made_at=at
    )


STEPS = ("cleaned", "joined", "features", "training", "holdout", "delay", "evaluation", "card")


def nodes_of(week: Week) -> Iterator[Node]:
    """The things of a week, as the lineage knows them."""
    named = {
        digest(week.labelled, week.number): ("dataset version", f"{week.labelled}@{week.number}"),
        digest(f"model-{week.model}", week.number): ("model", f"{week.model} of run/{week.n}"),
        f"{week.model}/{week.number}": ("model version", f"{week.model}/{week.number}"),
        digest(f"labels-{week.model}", week.number): ("labels", "700 labels"),
        **{
            f"{kind}/{week.n}": (kind, f"{kind}/{week.n}")
            for kind in (
                "run",
                "verdict",
                "approval",
                "release",
                "plan",
                "job",
                "trigger",
                "alert",
                "window",
            )
        },
        **{
            digest(f"{step}-{week.model}", week.number): ("step output", f"{step} of run/{week.n}")
            for step in STEPS
        },
    }
    for address, (kind, name) in named.items():
        yield Node(address=address, kind=kind, name=name, seen_at=week.at)


def edges_of(week: Week) -> Iterator[tuple[str, str, str]]:
    """What was made from what in a week, as a project writes it down."""
    n, before = week.n, week.n - N_MODELS
    run, version = f"run/{n}", f"{week.model}/{week.number}"
    flights, labelled = digest("flights", week.number), digest(week.labelled, week.number)
    outputs = {step: digest(f"{step}-{week.model}", week.number) for step in STEPS}
    model = digest(f"model-{week.model}", week.number)
    yield labelled, digest(f"labels-{week.model}", week.number), "input"
    if before > 0:
        yield labelled, f"plan/{before}", "answered under"
        yield labelled, digest(week.labelled, week.number - 1), "input"
        yield f"job/{n}", f"trigger/{n}", "asked by"
        yield f"trigger/{n}", f"alert/{n}", "fired by"
        yield f"alert/{n}", f"window/{n}", "raised from"
        yield f"window/{n}", f"{week.model}/{week.number - 1}", "answered by"
        yield run, f"job/{n}", "asked by"
    for given in (flights, labelled):
        yield run, given, "input"
    for made, given in (
        ("cleaned", flights), ("joined", labelled), ("joined", outputs["cleaned"]),
        ("features", outputs["joined"]), ("training", outputs["features"]),
        ("holdout", outputs["features"]), ("delay", outputs["training"]),
        ("evaluation", outputs["delay"]), ("evaluation", outputs["holdout"]),
        ("card", outputs["evaluation"]),
    ):  # fmt: skip
        yield outputs[made], given, "input"
    for step in STEPS:
        yield outputs[step], run, "output"
    yield model, outputs["delay"], "packaged from"
    yield f"verdict/{n}", outputs["holdout"], "input"
    yield f"verdict/{n}", model, "judged"
    yield version, f"verdict/{n}", "judged by"
    yield version, model, "model"
    yield version, run, "trained by"
    yield f"release/{n}", version, "released as"
    yield f"release/{n}", f"verdict/{n}", "judged by"
    yield f"release/{n}", f"approval/{n}", "approved by"
    yield f"plan/{n}", f"release/{n}", "served by"


def fill_log(project: Project, weeks: list[Week]) -> list[str]:
    """A million answers, half of them in the last week: segments, written by the line, collected."""
    project.segments.mkdir(parents=True, exist_ok=True)
    ids: list[str] = []
    lines: list[bytes] = []
    for sequence, (week, at) in enumerate(moments(weeks)):
        name = make(at, plan=week.n, worker=1, sequence=sequence)
        lines.append(line(name, week, at))
        if sequence % 100 == 0:
            ids.append(name)
        if len(lines) == TOGETHER or sequence == N_PREDICTIONS - 1:
            (project.segments / f"bench-{sequence}.jsonl").write_bytes(
                b"".join(each + b"\n" for each in lines)
            )
            lines.clear()
            collect(project)
    return ids


def moments(weeks: list[Week]) -> Iterator[tuple[Week, datetime]]:
    """Who answers when: spread evenly over the year, and again over its last week."""
    last = [week for week in weeks if week.number == N_WEEKS]
    half = N_PREDICTIONS // 2
    for group, n in ((weeks, half), (last, N_PREDICTIONS - half)):
        each, rest = divmod(n, len(group))
        for i, week in enumerate(group):
            n_answers = each + (i < rest)
            for k in range(n_answers):
                yield week, week.at + WEEK * (k / n_answers)


def line(name: str, week: Week, at: datetime) -> bytes:
    """An answer as an endpoint writes it."""
    microseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    artifact = digest(f"model-{week.model}", week.number)
    return seal(
        f'{{"prediction_id":"{name}","answered_at":{microseconds},"environment":"production",'
        f'"plan":{week.n},"role":"champion","model":"{week.model}","number":{week.number},'
        f'"artifact":"{artifact}","score":0.25,"inputs":{{"carrier":"AA","distance":1089.0,'
        f'"wind":11.5}},"key":""}}'.encode()
    )


def timed(call: Callable[[Any], object], questions: list[Any]) -> float:
    """The median time of a call in milliseconds; the first question only warms up."""
    call(questions[0])
    took = []
    for question in questions[1:]:
        began = perf_counter()
        call(question)
        took.append((perf_counter() - began) * 1e3)
    return median(took)


def tell(name: str, value: float, goal: float) -> None:
    """One result, in milliseconds."""
    figure(name, value, "ms", f"<= {goal:g}")


def tell_sizes(project: Project, kind: str) -> None:
    """How much there was to look through."""
    with project.database.read() as connection:
        n_edges = rows.count(connection, Edge)
        n_answers = connection.execute(sa.select(sa.func.sum(TABLES[AnswerCount].c.n))).scalar_one()
    figure(f"{kind}, edges of lineage", n_edges, "edges")
    figure(f"{kind}, predictions", int(n_answers), "predictions")


if __name__ == "__main__":
    main()
