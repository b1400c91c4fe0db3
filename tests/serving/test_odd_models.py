"""A class of one's own that answers nonsense is refused everywhere, and the log says why."""

import asyncio
import importlib
import json
import logging
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import httpx
import pytest

import cd4ml
from cd4ml.errors import ModelFailed
from cd4ml.loop.candidate import runtime_of
from cd4ml.models.complaints import Complaints
from cd4ml.models.estimator import dump
from cd4ml.models.own_code import own_code
from cd4ml.models.package import package
from cd4ml.models.runtime import Runtime
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.run import StepRun
from cd4ml.serving import endpoint
from cd4ml.serving.packaging.contents import contents_of
from cd4ml.serving.packaging.embedded import server
from cd4ml.store.rows import find, insert
from tests.models.builders import AT, CONTRACT, ROW, flights
from tests.models.registered import Registered
from tests.serving.builders import _step_run, arm

RULES = """
    import sys
    import numpy as np

    class Odd:
        '''Honest, but for rows of some temperatures.'''

        def predict_proba(self, frame):
            late = np.full(len(frame), 0.25)
            table = np.column_stack([1 - late, late])
            asked = set(frame["temp"].to_list())
            if 1.0625 in asked:
                return table[:-1]
            if 2.0625 in asked:
                return np.vstack([table, table])
            if 3.0625 in asked:
                return table + 1.75
            if 4.0625 in asked:
                return table * np.nan
            if 5.0625 in asked:
                return table[:0]
            if 6.0625 in asked:
                raise ValueError(f"no airport {frame['dest'][0]}")
            if 7.0625 in asked:
                return np.column_stack([table, late])
            if 9.0625 in asked:
                import time
                time.sleep(0.3)
            if 8.0625 in asked:
                sys.exit(0)
            return table
"""

WHY = {
    1.0625: "the estimator gave 1 answers to 2 rows",
    2.0625: "the estimator gave 4 answers to 2 rows",
    3.0625: "the estimator answered 2 as a probability, which lies between 0 and 1",
    4.0625: "it answered nan, which is no finite number",
    5.0625: "the estimator gave 0 answers to 2 rows",
    7.0625: "expected a classifier of two classes, got one of 3",
}
KINDS = {6.0625: "ValueError", 8.0625: "ProcessEnds"}


def rows_of(temp: float) -> list[dict[str, Any]]:
    return [ROW | {"temp": temp, "dest": "SECRET"}, ROW]


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path
) -> Iterator[tuple[Registered, ModelVersion]]:
    project = Registered(tmp_path_factory.mktemp("odd") / "project", sqlite_template)
    folder = tmp_path_factory.mktemp("code")
    (folder / "odd_rules.py").write_text(dedent(RULES))
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        data = dump(importlib.import_module("odd_rules").Odd())
        del sys.modules["odd_rules"]
    address = project.project.blobs.put(data)
    with project.project.database.write() as connection:
        insert(connection, _step_run(len(find(connection, StepRun)) + 1, address))
    artifact = package(
        project.project.blobs,
        estimator=address,
        contract=CONTRACT,
        sample=flights(),
        is_trusted=lambda digest: digest == address,
        code=own_code(data, folder),
    )
    yield project, project.version_of(artifact)
    project.project.close()


@pytest.fixture(scope="module")
def runtime(made: tuple[Registered, ModelVersion]) -> Runtime:
    return runtime_of(made[0].project, made[1])


@pytest.fixture(scope="module")
def wheel(
    made: tuple[Registered, ModelVersion], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    """The module of its wheel."""
    site = tmp_path_factory.mktemp("site")
    for name, data in contents_of(made[0].project.blobs, made[1], name="odd-one").files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(site))
        yield importlib.import_module("odd_one")
    for each in [name for name in sys.modules if name.startswith("odd_one")]:
        del sys.modules[each]


@pytest.mark.parametrize("temp", WHY)
def test_a_wheel_refuses_answers_that_are_none(temp: float, wheel: Any) -> None:
    with pytest.raises(wheel.ModelFailed) as failure:
        wheel.predict_many(rows_of(temp))

    assert failure.value.message == "the model delay/1 failed on a request that keeps its contract"
    assert failure.value.reason == WHY[temp]
    assert str(failure.value) == f"{failure.value.message}: {WHY[temp]}"
    assert wheel.predict_many([ROW, ROW]) == [0.25, 0.25]


@pytest.mark.parametrize(("temp", "kind"), KINDS.items())
def test_what_a_model_raises_is_named_without_its_words(temp: float, kind: str, wheel: Any) -> None:
    with pytest.raises(wheel.ModelFailed) as failure:
        wheel.predict(rows_of(temp)[0])

    assert failure.value.reason.startswith(f"{kind} (")
    assert "SECRET" not in str(failure.value)


@pytest.mark.parametrize("temp", [*WHY, *KINDS])
def test_a_loaded_model_and_an_endpoint_refuse_them_too(
    temp: float, made: tuple[Registered, ModelVersion], runtime: Runtime
) -> None:
    with (
        cd4ml.load("delay/1", project=made[0].folder, every_s=0) as model,
        pytest.raises(ModelFailed) as failure,
    ):
        model.predict(rows_of(temp))
    given = endpoint_of(runtime)

    assert failure.value.message == "the model delay/1 failed on rows that keep its contract"
    with pytest.raises(endpoint.ModelFailed):
        given.answers([given.reader.read(body)[0] for body in bodies(rows_of(temp))], ["a", "b"])


def bodies(rows: list[dict[str, Any]]) -> list[bytes]:
    return [json.dumps(row).encode() for row in rows]


def endpoint_of(runtime: Runtime) -> endpoint.Endpoint:
    plan = Plan(
        number=1,
        environment="production",
        model="delay",
        arms=(arm(runtime.artifact),),
        release=1,
        made_at=AT,
    )
    return endpoint.build(plan, {runtime.artifact: runtime})


def test_an_endpoint_says_in_its_log_that_a_model_answered_nan_once_a_minute(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    monkeypatch.setattr(endpoint, "_complaints", Complaints(clock=lambda: now[0]))
    given = endpoint_of(runtime)
    rows = [given.reader.read(body)[0] for body in bodies([ROW | {"temp": 4.0625}])]

    for at in (0.0, 1.0, 2.0, 61.0):
        now[0] = at
        assert endpoint.scores(given.champion, rows) == [None]

    said = "delay/1 answered nan, which is no finite number, to a request that keeps its contract"
    assert [record.getMessage() for record in caplog.records] == [
        said,
        f"{said} (3 times since this was said last)",
    ]
    assert "4.0625" not in caplog.text


async def posted(app: Any, path: str, *asked: dict[str, Any]) -> list[httpx.Response]:
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        return [await client.post(path, **each) for each in asked]


@pytest.mark.parametrize("temp", [*WHY, *KINDS])
def test_a_container_answers_500_and_its_log_has_the_reason(
    temp: float, wheel: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(server, "_complaints", Complaints())
    lines = "carrier,dest,hour,temp,wind\n" + "".join(
        f"{','.join(str(value) for value in row.values())}\n" for row in rows_of(temp)
    )
    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        answers = asyncio.run(
            posted(
                server.app_of(wheel),
                "/invocations",
                {"json": {"rows": rows_of(temp)}},
                {"content": lines, "headers": {"content-type": "text/csv"}},
            )
        )

    for answer in answers:
        assert answer.status_code == 500
        assert answer.json() == {
            "error": "the model delay/1 failed on a request that keeps its contract",
            "hint": "nothing was answered; the server's log has the reason",
        }
    (said,) = (record.getMessage() for record in caplog.records)  # the second one not at once
    failed = "the model delay/1 failed on a request that keeps its contract: "
    assert said.startswith(failed + WHY.get(temp, KINDS.get(temp, "")))
    assert "SECRET" not in said


def test_a_container_whose_model_takes_long_says_meanwhile_that_it_is_there(wheel: Any) -> None:
    ended: list[str] = []

    async def asked() -> None:
        transport = httpx.ASGITransport(server.app_of(wheel))
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:

            async def predict() -> None:
                answer = await client.post("/invocations", json=ROW | {"temp": 9.0625})
                ended.append(f"predict {answer.status_code}")

            waiting = asyncio.create_task(predict())
            await asyncio.sleep(0.05)
            ended.append(f"ping {(await client.get('/ping')).status_code}")
            await waiting

    asyncio.run(asked())

    assert ended == ["ping 200", "predict 200"]


def test_what_is_said_of_one_kind_does_not_silence_another() -> None:
    complaints = Complaints(every_s=math.inf)

    assert [complaints.due(kind) for kind in ("a", "a", "b")] == [1, 0, 1]


def test_kinds_that_never_come_again_are_forgotten() -> None:
    complaints = Complaints(every_s=math.inf)
    for kind in range(3_000):
        assert complaints.due(kind) == 1

    assert len(complaints._known) <= 1_000
