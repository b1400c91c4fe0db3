"""Whatever a client sends, MLflow's API answers with what it says, or with what is wrong there."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.api.mlflow_calls import CALLS
from cd4ml.loop import open_project
from cd4ml.loop.mlflow import messages
from tests.api.test_mlflow import API, begun
from tests.browser import browser
from tests.mlflow_clients import lay_out

any_project = settings(
    deadline=None,
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

SEARCHES = {
    "runs/search": {"experiment_ids": ["0"]},
    "experiments/search": {},
    "registered-models/search": {},
    "model-versions/search": {},
    "logged-models/search": {"experiment_ids": ["0"]},
}

kinds = st.sampled_from(
    ["metrics", "params", "tags", "attributes", "datasets", "dataset", "run", "metric", "x", ""]
)
keys = st.sampled_from(
    [
        "acc",
        "name",
        "digest",
        "context",
        "run",
        "run_id",
        "run_name",
        "status",
        "start_time",
        "end_time",
        "user_id",
        "artifact_uri",
        "experiment_id",
        "creation_time",
        "version",
        "version_number",
        "source_path",
        "last_updated_timestamp",
        "timestamp",
        "model_id",
        "created",
        "`a b`",
        '"acc"',
        "mlflow.runName",
        "a/b",
        "``",
        "",
        "\0",
    ]
)
fields = st.one_of(keys, st.builds("{}.{}".format, kinds, keys))
comparators = st.sampled_from(
    [
        "=",
        "!=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "LIKE",
        "ilike",
        "IN",
        "NOT IN",
        "IS NULL",
        "IS NOT NULL",
        "BETWEEN",
        "==",
        "",
    ]
)
values = st.one_of(
    st.sampled_from(
        [
            "0.5",
            "'a'",
            '"b%"',
            "('a', 'b')",
            "(1)",
            "1e999",
            "-0",
            "nan",
            "",
            "'",
            "`a`",
            "(",
            "9" * 40,
            "'\\",
            "'%_[(*+?'",
            "'\0'",
            "'FINISHED'",
            "'\ud800'",
        ]
    ),
    st.text(max_size=4),
)
conditions = st.builds("{} {} {}".format, fields, comparators, values)
filters = st.one_of(st.lists(conditions, max_size=3).map(" and ".join), st.text(max_size=20))
orders = st.one_of(
    fields,
    st.builds("{} {}".format, fields, st.sampled_from(["ASC", "desc", "up", "", ", name"])),
)


@pytest.fixture
def client_of_postgres(
    tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[httpx.Client]:
    monkeypatch.setenv("CD4ML_DATABASE", postgres_url)
    with open_project(lay_out(tmp_path / "flights")) as project, browser(project) as opened:
        yield opened


@pytest.fixture(params=["client", "client_of_postgres"])
def client_with_runs(request: pytest.FixtureRequest) -> httpx.Client:
    """Runs with and without metrics, parameters and datasets; one logged model."""
    client: httpx.Client = request.getfixturevalue(request.param)
    for acc in (0.5, "NaN", None):
        run = begun(client)
        metrics = [] if acc is None else [{"key": "acc", "value": acc}]
        batch = {"run_id": run, "metrics": metrics, "params": [{"key": "acc", "value": "1"}]}
        client.post(f"{API}/runs/log-batch", json=batch)
        dataset = {"dataset": {"name": "a", "digest": "b"}, "tags": []}
        client.post(f"{API}/runs/log-inputs", json={"run_id": run, "datasets": [dataset]})
    client.post(f"{API}/logged-models", json={"experiment_id": "0", "source_run_id": run})
    return client


def refused_or_answered(answer: httpx.Response) -> None:
    is_offered = answer.status_code < 500 or answer.status_code == 501
    assert is_offered, (answer.request.url, answer.request.content, answer.text)


@any_project
@given(st.data())
def test_no_filter_and_no_order_is_a_bug(
    client_with_runs: httpx.Client, data: st.DataObject
) -> None:
    call = data.draw(st.sampled_from(sorted(SEARCHES)))
    by = data.draw(st.lists(orders, max_size=2))
    asked: dict[str, Any] = {"filter": data.draw(filters), "order_by": by, **SEARCHES[call]}
    if call.startswith("logged"):
        asked["order_by"] = [{"field_name": each, "dataset_name": "a"} for each in by]

    answer = sent(client_with_runs, f"{API}/{call}", asked)

    refused_or_answered(answer)
    if answer.status_code != 200:
        assert answer.json()["error_code"] == "INVALID_PARAMETER_VALUE"


JSON = {"content-type": "application/json"}
texts = st.one_of(
    st.sampled_from(
        [
            "",
            "0",
            "1",
            "run-1",
            "run-2",
            "run-99",
            "diagnosis",
            "champion",
            "m-0",
            "a/b",
            "..",
            "\0",
            "models:/diagnosis/1",
            "runs:/run-1/x",
            "FINISHED",
            "name = 'x'",
            "NaN",
            "\ud800",
            "1e999",
            "9" * 30,
            "²",
            "-1",
        ]
    ),
    st.text(max_size=5),
)
numbers = st.one_of(
    st.integers(-3, 3), st.sampled_from([2**31, 2**53, 2**63 - 1, 2**63, -(2**63), 10**18])
)


def sent_as(kind: Any) -> st.SearchStrategy[Any]:
    """What a client may send where a kind of thing is expected."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        hints = get_type_hints(kind)
        fields = {name: sent_as(hint) for name, hint in hints.items()}
        return st.one_of(st.fixed_dictionaries(fields), st.fixed_dictionaries({}, optional=fields))
    if get_origin(kind) is list:
        return st.lists(sent_as(get_args(kind)[0]), max_size=3)
    if kind is str:
        return texts
    if kind is int:
        return numbers
    return st.one_of(texts, numbers, st.sampled_from([0.5, True, None]))


calls = sorted(
    (method, path, call.message) for (method, path), call in CALLS.items() if "delete" not in path
)


def asked_of(message: str) -> st.SearchStrategy[Any]:
    made: st.SearchStrategy[Any] = sent_as(getattr(messages, message))
    return made


def in_path(path: str, draw: Callable[[st.SearchStrategy[Any]], Any]) -> str:
    while "{" in path:
        before, _, rest = path.partition("{")
        word = draw(st.sampled_from(["m-0", "run-1", "a", "%00", "1"]))
        path = before + word + rest.partition("}")[2]
    return path


@settings(any_project, max_examples=200)
@given(st.data())
def test_nothing_that_is_sent_is_a_bug(client_with_runs: httpx.Client, data: st.DataObject) -> None:
    method, path, message = data.draw(st.sampled_from(calls))
    asked = data.draw(asked_of(message))
    url = in_path(path, data.draw)

    refused_or_answered(sent(client_with_runs, url, asked, method))


def sent(client: httpx.Client, url: str, asked: dict[str, Any], method: str = "") -> httpx.Response:
    """The answer to a call, which is a GET or another one."""
    is_get = method == "GET" or (
        not method and ("GET", url) in CALLS and ("POST", url) not in CALLS
    )
    if is_get:
        words = {
            name: [str(each).encode(errors="replace").decode() for each in value]
            if isinstance(value, list)
            else str(value).encode(errors="replace").decode()
            for name, value in asked.items()
        }
        return client.request("GET", url, params=words)
    return client.request(method or "POST", url, content=json.dumps(asked), headers=JSON)
