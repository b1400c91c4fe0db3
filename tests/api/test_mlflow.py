from pathlib import Path
from typing import Any

import httpx
import pytest

from cd4ml.loop import Project
from cd4ml.records.run import Run
from cd4ml.store import rows

API = "/api/2.0/mlflow"
FILES = "/api/2.0/mlflow-artifacts"


def begun(client: httpx.Client, **fields: Any) -> str:
    """The id of a new run."""
    answer = client.post(f"{API}/runs/create", json={"experiment_id": "0", **fields})
    assert answer.status_code == 200, answer.text
    id: str = answer.json()["run"]["info"]["run_id"]
    return id


def fault(answer: httpx.Response) -> tuple[int, str, str]:
    """What an answer says went wrong."""
    said = answer.json()
    return answer.status_code, said["error_code"], said["message"]


def test_the_server_says_which_mlflow_it_speaks_and_that_it_is_well(client: httpx.Client) -> None:
    assert client.get("/version").text == "3.17.2"
    assert client.get("/health").text == "OK"
    assert client.get("/api/3.0/mlflow/server-info").json()["workspaces_enabled"] is False


@pytest.mark.parametrize(
    ("method", "path", "what"),
    [
        ("POST", "/api/3.0/mlflow/traces/search", "MLflow's traces"),
        ("GET", "/api/2.0/mlflow/users/get", "MLflow's users and permissions"),
        ("POST", "/api/3.0/mlflow/gateway/endpoints/create", "MLflow's AI gateway"),
        ("GET", "/api/3.0/mlflow/workspaces", "MLflow's workspaces"),
        ("GET", "/ajax-api/2.0/mlflow/unheard-of", "this call of MLflow's"),
        ("POST", "/graphql", "MLflow's GraphQL of its web page"),
    ],
)
def test_what_is_not_offered_is_answered_with_its_name(
    client: httpx.Client, method: str, path: str, what: str
) -> None:
    status, code, message = fault(client.request(method, path, json={}))

    assert (status, code) == (501, "NOT_IMPLEMENTED")
    assert message.startswith(f"cd4ml does not offer {what} ({method} {path})")


def test_a_page_of_another_site_cannot_write(client: httpx.Client, project: Project) -> None:
    before = client.get(f"{API}/runs/get", params={"run_id": "run-1"}).json()
    form = client.post(
        f"{API}/runs/create",
        content='{"experiment_id": "0"}',
        headers={"content-type": "text/plain"},
    )
    foreign = client.post(
        f"{API}/runs/create",
        json={"experiment_id": "0"},
        headers={"origin": "https://evil.example"},
    )
    put = client.put(
        f"{FILES}/artifacts/runs/run-1/artifacts/x",
        content=b"x",
        headers={"origin": "https://evil.example"},
    )

    assert fault(form) == (
        400,
        "INVALID_PARAMETER_VALUE",
        "expected a body of application/json, got text/plain",
    )
    assert fault(foreign) == (
        403,
        "PERMISSION_DENIED",
        "pages of https://evil.example may not write here (hint: send it from a program, or from "
        "a page of this server)",
    )
    assert put.status_code == 403
    assert client.get(f"{API}/runs/get", params={"run_id": "run-1"}).json() == before


def test_numbers_come_as_texts_and_nothing_as_null(client: httpx.Client) -> None:
    id = begun(client, start_time="1700000000000", run_name=None, user_id=None)
    logged = {"run_uuid": id, "key": "m", "value": "NaN", "timestamp": "1700000000001", "step": "7"}

    assert client.post(f"{API}/runs/log-metric", json=logged).json() == {}

    run = client.get(f"{API}/runs/get", params={"run_uuid": id}).json()["run"]
    assert run["info"]["start_time"] == 1_700_000_000_000
    assert run["data"]["metrics"] == [
        {"key": "m", "value": "NaN", "timestamp": 1_700_000_000_001, "step": 7}
    ]


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        (
            "runs/log-metric",
            {"run_id": "ID", "key": "m"},
            "LogMetric: Object missing required field `value`",
        ),
        (
            "runs/log-metric",
            {"run_id": "ID", "key": "m", "value": "much"},
            "expected a number as the metric's value, got 'much'",
        ),
        (
            "runs/log-metric",
            {"run_id": "ID", "key": "", "value": 1},
            "expected a name of 1 to 250 characters, got ''",
        ),
        (
            "runs/update",
            {"run_id": "ID", "status": "DONE"},
            "expected a status of RUNNING, SCHEDULED, FINISHED, FAILED, KILLED, got 'DONE'",
        ),
        (
            "runs/search",
            {"run_view_type": "SOME"},
            "expected the view ACTIVE_ONLY, DELETED_ONLY, ALL, got 'SOME'",
        ),
        (
            "runs/search",
            {"max_results": 60_000},
            "expected max_results from 1 to 50,000, got 60,000 (hint: ask for the next page with "
            "the token of this one)",
        ),
        (
            "experiments/create",
            {"name": "\n"},
            "expected an experiment's name of 1 to 500 printable characters, got '\\n'",
        ),
        ("runs/log-batch", [1], "expected a JSON object, got list"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_no_trace(
    client: httpx.Client, path: str, body: Any, message: str
) -> None:
    id = begun(client)
    seen = client.get(f"{API}/runs/get", params={"run_id": id}).json()
    given = {**body, "run_id": id} if "run_id" in body else body

    assert fault(client.post(f"{API}/{path}", json=given)) == (
        400,
        "INVALID_PARAMETER_VALUE",
        message,
    )
    assert client.get(f"{API}/runs/get", params={"run_id": id}).json() == seen


def test_a_batch_is_kept_whole_or_not_at_all(client: httpx.Client) -> None:
    id = begun(client)
    client.post(f"{API}/runs/log-parameter", json={"run_id": id, "key": "p", "value": "1"})
    batch = {
        "run_id": id,
        "params": [{"key": "q", "value": "2"}, {"key": "p", "value": "3"}],
        "tags": [{"key": "t", "value": "x"}],
        "metrics": [{"key": "m", "value": 1}],
    }

    assert fault(client.post(f"{API}/runs/log-batch", json=batch)) == (
        400,
        "INVALID_PARAMETER_VALUE",
        f"the parameter 'p' of run/{id.removeprefix('run-')} is '1' already, and cannot become '3' "
        "(hint: log it under another name)",
    )
    data = client.get(f"{API}/runs/get", params={"run_id": id}).json()["run"]["data"]
    assert (data["params"], data["metrics"]) == ([{"key": "p", "value": "1"}], [])
    assert [tag["key"] for tag in data["tags"]] == ["mlflow.runName", "mlflow.user"]


def test_a_run_of_the_pipeline_is_seen_tagged_and_otherwise_left(
    client: httpx.Client, project: Project
) -> None:
    run = client.get(f"{API}/runs/get", params={"run_id": "run-1"}).json()["run"]
    assert run["info"]["status"] == "FINISHED"
    assert {each["key"] for each in run["data"]["metrics"]}
    assert [each["dataset"]["source_type"] for each in run["inputs"]["dataset_inputs"]] == ["cd4ml"]

    client.post(f"{API}/runs/set-tag", json={"run_id": "run-1", "key": "seen", "value": "yes"})
    refused = [
        client.post(f"{API}/runs/log-metric", json={"run_id": "run-1", "key": "auc", "value": 1}),
        client.post(f"{API}/runs/update", json={"run_id": "run-1", "status": "FAILED"}),
    ]
    put = client.put(f"{FILES}/artifacts/runs/run-1/artifacts/x", content=b"x")

    assert [fault(each) for each in refused] == [
        (
            409,
            "RESOURCE_CONFLICT",
            "run/1 was made by the pipeline: what it recorded cannot be changed (hint: tag it, or "
            "begin a run of your own: mlflow.start_run())",
        )
    ] * 2
    assert fault(put) == (
        409,
        "RESOURCE_CONFLICT",
        "run/1 was made by the pipeline: its files cannot be changed (hint: log them in a run of "
        "your own: mlflow.start_run())",
    )
    with project.database.read() as connection:
        assert rows.get(connection, Run, 1).tags == {"seen": "yes"}


def test_champion_is_moved_by_releases_where_there_are_environments(client: httpx.Client) -> None:
    asked = {"name": "diagnosis", "alias": "champion", "version": "1"}

    assert fault(client.post(f"{API}/registered-models/alias", json=asked)) == (
        403,
        "PERMISSION_DENIED",
        "'champion' is the version in charge in production: only a release moves it (hint: cd4ml "
        "release MODEL/NUMBER --to production)",
    )
    free = {**asked, "alias": "challenger"}
    assert client.post(f"{API}/registered-models/alias", json=free).json() == {}
    found = client.get(f"{API}/registered-models/alias", params=free).json()["model_version"]
    assert (found["version"], found["aliases"]) == ("1", ["challenger"])


def test_files_are_put_listed_fetched_and_removed(client: httpx.Client) -> None:
    id = begun(client)
    root = f"{FILES}/artifacts/runs/{id}/artifacts"
    assert client.put(f"{root}/plots/a b.txt", content=b"hello").json() == {}
    client.put(f"{root}/model.bin", content=bytes(3_000_000))

    listed = client.get(f"{FILES}/artifacts", params={"path": f"runs/{id}/artifacts"}).json()
    assert listed["files"] == [
        {"path": "model.bin", "is_dir": False, "file_size": 3_000_000},
        {"path": "plots", "is_dir": True},
    ]
    of_run = client.get(f"{API}/artifacts/list", params={"run_id": id, "path": "plots"}).json()
    assert of_run == {
        "root_uri": f"mlflow-artifacts:/runs/{id}/artifacts",
        "files": [{"path": "plots/a b.txt", "is_dir": False, "file_size": 5}],
    }
    fetched = client.get(f"{root}/plots/a b.txt")
    assert (fetched.content, fetched.headers["content-type"]) == (
        b"hello",
        "application/octet-stream",
    )
    assert client.get(f"{root}/model.bin").content == bytes(3_000_000)

    assert client.delete(f"{root}/plots").json() == {}
    assert fault(client.get(f"{root}/plots/a b.txt")) == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
        f"there is no file 'plots/a b.txt' in mlflow-artifacts:/runs/{id}/artifacts (hint: in its "
        "folder: nothing)",
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("runs/run-99/artifacts/x", 404),
        ("elsewhere/x", 404),
        ("runs/run-1/artifacts/a/%2e%2e/%2e%2e/x", 400),
        ("versions/diagnosis/1/MLmodel", 409),
    ],
)
def test_files_cannot_be_put_elsewhere(client: httpx.Client, path: str, status: int) -> None:
    assert client.put(f"{FILES}/artifacts/{path}", content=b"x").status_code == status


def test_a_large_file_comes_in_parts(client: httpx.Client, project: Project) -> None:
    id = begun(client)
    folder = f"{FILES}/mpu/{{}}/runs/{id}/artifacts/big"
    asked = {"path": "/home/ana/model.bin", "num_parts": 2}
    upload = client.post(folder.format("create"), json=asked).json()
    etags = [
        client.put(httpx.URL(part["url"]).path, content=content).headers["etag"]
        for part, content in zip(upload["credentials"], [b"a" * 10, b"b"], strict=True)
    ]
    whole = {
        "path": "/home/ana/model.bin",
        "upload_id": upload["upload_id"],
        "parts": [{"part_number": i + 1, "etag": etag} for i, etag in enumerate(etags)],
    }
    assert client.post(folder.format("complete"), json=whole).json() == {}

    got = client.get(f"{FILES}/artifacts/runs/{id}/artifacts/big/model.bin")
    assert got.content == b"a" * 10 + b"b"
    assert fault(client.post(folder.format("complete"), json=whole))[:2] == (
        404,
        "RESOURCE_DOES_NOT_EXIST",
    )
    assert list((project.state / "cache" / "uploads").iterdir()) == []


def test_an_upload_that_is_given_up_leaves_nothing(client: httpx.Client, project: Project) -> None:
    id = begun(client)
    folder = f"{FILES}/mpu/{{}}/runs/{id}/artifacts"
    upload = client.post(folder.format("create"), json={"path": "x", "num_parts": 1}).json()
    ended = {"path": "x", "upload_id": upload["upload_id"]}

    incomplete = client.post(
        folder.format("complete"), json={**ended, "parts": [{"part_number": 1}]}
    )
    assert fault(incomplete) == (400, "INVALID_PARAMETER_VALUE", "parts 1 have not arrived")
    assert client.post(folder.format("abort"), json=ended).json() == {}
    assert list((project.state / "cache" / "uploads").iterdir()) == []


def test_a_version_of_the_pipeline_is_a_folder_that_mlflow_loads(
    client: httpx.Client, folder: Path
) -> None:
    asked = {"name": "diagnosis", "version": "1"}
    uri = client.get(f"{API}/model-versions/get-download-uri", params=asked).json()["artifact_uri"]
    assert uri == "mlflow-artifacts:/versions/diagnosis/1"

    listed = client.get(f"{FILES}/artifacts", params={"path": "versions/diagnosis/1"}).json()
    assert [each["path"] for each in listed["files"]] == [
        "MLmodel",
        "code",
        "conda.yaml",
        "contract.json",
        "model.pkl",
        "python_env.yaml",
        "requirements.txt",
    ]
    told = client.get(f"{FILES}/artifacts/versions/diagnosis/1/MLmodel").json()
    assert told["flavors"]["python_function"]["loader_module"] == "cd4ml_answers"
    assert told["metadata"]["cd4ml_version"] == "diagnosis/1"


@pytest.mark.parametrize(
    "fields",
    [
        {"metrics": [{"key": "m", "value": 1, "step": 2**63}]},
        {"metrics": [{"key": "m", "value": 1, "timestamp": -5}]},
        {"metrics": [{"key": "m\0", "value": 1}]},
        {"params": [{"key": "p", "value": "nul \0"}]},
        {"tags": [{"key": "t", "value": "nul \0"}]},
        {"tags": [{"key": "t" * 300, "value": ""}]},
        {"metrics": [{"key": "m", "value": 1, "model_id": "m-nobody's"}]},
    ],
)
def test_what_no_database_keeps_is_refused_with_the_whole_batch(
    client: httpx.Client, fields: dict[str, Any]
) -> None:
    id = begun(client)
    seen = client.get(f"{API}/runs/get", params={"run_id": id}).json()
    good = {"params": [{"key": "good", "value": "1"}], "tags": [{"key": "good", "value": "1"}]}

    refused = client.post(f"{API}/runs/log-batch", json={"run_id": id, **good, **fields})

    assert refused.status_code in (400, 404), refused.text
    assert client.get(f"{API}/runs/get", params={"run_id": id}).json() == seen


def test_half_a_surrogate_pair_is_refused(client: httpx.Client) -> None:
    id = begun(client)
    body = f'{{"run_id": "{id}", "key": "t", "value": "\\ud800"}}'
    headers = {"content-type": "application/json"}

    refused = client.post(f"{API}/runs/set-tag", content=body, headers=headers)

    assert fault(refused)[:2] == (400, "INVALID_PARAMETER_VALUE")


def test_half_a_surrogate_pair_is_no_number_either(client: httpx.Client) -> None:
    asked = b'{"experiment_ids": ["0"], "max_results": "\\ud800"}'
    headers = {"content-type": "application/json"}

    answer = client.post(f"{API}/runs/search", content=asked, headers=headers)

    assert fault(answer) == (
        400,
        "INVALID_PARAMETER_VALUE",
        "SearchRuns: expected Unicode text",
    )


def test_a_deleted_run_takes_nothing_until_it_is_restored(client: httpx.Client) -> None:
    id = begun(client, run_name="gone")
    client.post(f"{API}/runs/delete", json={"run_id": id})
    metric = {"run_id": id, "key": "m", "value": 1}

    status, code, message = fault(client.post(f"{API}/runs/log-metric", json=metric))
    assert (status, code) == (400, "INVALID_PARAMETER_VALUE")
    assert message.startswith(f"run/{id.removeprefix('run-')} was deleted")

    client.post(f"{API}/runs/restore", json={"run_id": id})
    assert client.post(f"{API}/runs/log-metric", json=metric).json() == {}


def test_runs_are_found_by_the_data_they_were_given(client: httpx.Client) -> None:
    id = begun(client)
    data = {"name": "flights", "digest": "d1", "source_type": "local", "source": "{}"}
    context = [{"key": "mlflow.data.context", "value": "training"}]
    given = {"run_id": id, "datasets": [{"dataset": data, "tags": context}]}
    client.post(f"{API}/runs/log-inputs", json=given)
    again = {"run_id": id, "datasets": [{"dataset": data}]}  # as a metric with a dataset does
    client.post(f"{API}/runs/log-inputs", json=again)

    for words, n in (
        ("dataset.name = 'flights'", 1),
        ("dataset.digest IN ('d1', 'd2') and dataset.context = 'training'", 1),
        ("dataset.name = 'trains'", 0),
    ):
        asked = {"experiment_ids": ["0"], "filter": words}
        found = client.post(f"{API}/runs/search", json=asked).json()["runs"]
        assert [run["info"]["run_id"] for run in found] == [id] * n
    listed = client.post(f"{API}/experiments/search-datasets", json={"experiment_ids": ["0"]})
    assert listed.json()["dataset_summaries"] == [
        {"experiment_id": "0", "name": "flights", "digest": "d1", "context": "training"}
    ]


def test_a_long_history_comes_by_pages_and_thinned(client: httpx.Client) -> None:
    id = begun(client)
    points = [{"key": "m", "value": i, "timestamp": 1_000 + i, "step": i} for i in range(5_000)]
    client.post(f"{API}/runs/log-batch", json={"run_id": id, "metrics": points})
    asked: dict[str, Any] = {"run_id": id, "metric_key": "m", "max_results": 2_000}
    steps, sizes = [], []
    while True:
        page = client.get(f"{API}/metrics/get-history", params=asked).json()
        steps += [each["step"] for each in page["metrics"]]
        sizes.append(len(page["metrics"]))
        if not page["next_page_token"]:
            break
        asked["page_token"] = page["next_page_token"]

    assert (sizes, steps) == ([2_000, 2_000, 1_000], list(range(5_000)))
    thin = client.get(
        f"{API}/metrics/get-history-bulk-interval",
        params={
            "run_ids": [id],
            "metric_key": "m",
            "start_step": 1_000,
            "end_step": 9_999,
            "max_results": 10,
        },
    ).json()["metrics"]
    assert len(thin) == 10
    assert (thin[0]["step"], thin[-1]["step"], thin[0]["run_id"]) == (1_000, 4_999, id)
    none = client.get(f"{API}/metrics/get-history", params={"run_id": id, "metric_key": "x"})
    assert none.json() == {"metrics": [], "next_page_token": ""}


def test_runs_are_sorted_by_what_some_of_them_have(client: httpx.Client) -> None:
    made = client.post(f"{API}/experiments/create", json={"name": "sorted"}).json()
    experiment = made["experiment_id"]
    for name, auc, depth in (("a", 0.2, "7"), ("b", None, "3"), ("c", 0.9, None)):
        id = begun(client, experiment_id=experiment, run_name=name)
        metrics = [] if auc is None else [{"key": "auc", "value": auc}]
        params = [] if depth is None else [{"key": "depth", "value": depth}]
        logged = {"run_id": id, "metrics": metrics, "params": params}
        client.post(f"{API}/runs/log-batch", json=logged)

    def order(*by: str) -> str:
        asked = {"experiment_ids": [experiment], "order_by": list(by)}
        runs = client.post(f"{API}/runs/search", json=asked).json()["runs"]
        return "".join(run["info"]["run_name"] for run in runs)

    assert order("metrics.auc DESC") == "cab"
    assert order("metrics.auc") == "acb"
    assert order("params.depth ASC") == "bac"
    assert order("run_name DESC") == "cba"
    assert order("attributes.start_time ASC") == "abc"
    assert order() == "cba"


def test_logged_models_are_found_by_their_metrics_on_a_dataset(client: httpx.Client) -> None:
    ids = []
    for name, auc in (("tree", 0.7), ("line", 0.9)):
        run = begun(client)
        asked = {"experiment_id": "0", "name": name, "source_run_id": run}
        model = client.post(f"{API}/logged-models", json=asked).json()["model"]["info"]
        metric = {"key": "auc", "value": auc, "timestamp": 5, "model_id": model["model_id"]}
        metric |= {"dataset_name": "flights", "dataset_digest": "d1"}
        client.post(f"{API}/runs/log-batch", json={"run_id": run, "metrics": [metric, metric]})
        ended = {"status": "LOGGED_MODEL_READY"}
        client.patch(f"{API}/logged-models/{model['model_id']}", json=ended)
        ids.append(model["model_id"])

    def found(**fields: Any) -> list[str]:
        asked = {"experiment_ids": ["0"], **fields}
        models = client.post(f"{API}/logged-models/search", json=asked).json()["models"]
        return [each["info"]["name"] for each in models]

    by_auc = [{"field_name": "metrics.auc", "ascending": False, "dataset_name": "flights"}]
    assert found(order_by=by_auc) == ["line", "tree"]
    assert found(filter="metrics.auc > 0.8") == ["line"]
    assert found(filter="status = 'READY' and name = 'tree'") == ["tree"]
    assert found(filter="metrics.auc > 0.1", datasets=[{"dataset_name": "trains"}]) == []
    history = client.get(f"{API}/metrics/get-history", params={"run_id": run, "metric_key": "auc"})
    assert len(history.json()["metrics"]) == 1  # the same point twice
    client.delete(f"{API}/logged-models/{ids[0]}")
    assert found() == ["line"]
