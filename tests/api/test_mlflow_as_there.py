"""Where MLflow 3.17.2 has an answer of its own, cd4ml gives the same one."""

from typing import Any

import httpx
import pytest

from tests.api.test_mlflow import API, FILES, begun, fault

INVALID = (400, "INVALID_PARAMETER_VALUE")


@pytest.fixture
def experiment(client: httpx.Client) -> str:
    """Runs five, nan, one and none, whose metric acc is 0.5, NaN, 1, and not there."""
    made = client.post(f"{API}/experiments/create", json={"name": "nans"}).json()
    id: str = made["experiment_id"]
    for i, (name, acc) in enumerate((("five", 0.5), ("nan", "NaN"), ("one", 1.0), ("none", None))):
        run = begun(client, experiment_id=id, run_name=name, start_time=1_700_000_000_000 + i)
        metrics = [] if acc is None else [{"key": "acc", "value": acc, "timestamp": 1}]
        client.post(f"{API}/runs/log-batch", json={"run_id": run, "metrics": metrics})
    return id


def names(client: httpx.Client, experiment: str, **asked: Any) -> list[str]:
    answer = client.post(f"{API}/runs/search", json={"experiment_ids": [experiment], **asked})
    assert answer.status_code == 200, answer.text
    return [run["info"]["run_name"] for run in answer.json()["runs"]]


def test_nan_is_no_number_and_so_another_one_than_each(
    client: httpx.Client, experiment: str
) -> None:
    assert names(client, experiment, filter="metrics.acc != 0.5") == ["one", "nan"]
    assert names(client, experiment, filter="metrics.acc != 0") == ["one", "nan", "five"]
    for none in ("= 0", "< 0.5", "<= 0.4", "> 1"):
        assert names(client, experiment, filter=f"metrics.acc {none}") == []


def test_nan_comes_after_numbers_and_last_what_has_no_value(
    client: httpx.Client, experiment: str
) -> None:
    assert names(client, experiment, order_by=["metrics.acc"]) == ["five", "one", "nan", "none"]
    assert names(client, experiment, order_by=["metrics.acc DESC"]) == [
        "one",
        "five",
        "nan",
        "none",
    ]
    assert names(client, experiment, order_by=["metrics.other", "start_time"]) == [
        "five",
        "nan",
        "one",
        "none",
    ]


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"order_by": ["dataset.name"]},
            "invalid filter or order of runs 'dataset.name': nothing is sorted by a dataset, of "
            "which a run may have several (hint: for example metrics.auc > 0.7 and "
            "params.depth = '3')",
        ),
        (
            {"filter": "datasets.run = 'x'"},
            "invalid filter or order of runs \"datasets.run = 'x'\": datasets have no 'run' (known: "
            "name, digest, context) (hint: for example metrics.auc > 0.7 and params.depth = '3')",
        ),
        (
            {"experiment_ids": ["abc"]},
            "expected the id of an experiment, which is a number, got 'abc' (hint: "
            "mlflow.search_experiments())",
        ),
        (
            {"max_results": 0},
            "expected max_results from 1 to 50,000, got 0 (hint: ask for the next page with the "
            "token of this one)",
        ),
        (
            {"filter": "metrics.`a\0b` > 1"},
            "invalid filter or order of runs 'metrics.`a\\x00b` > 1': expected text without NUL "
            "characters, got 'metrics.`a\\x00b` > 1' (hint: for example metrics.auc > 0.7 and "
            "params.depth = '3')",
        ),
    ],
)
def test_what_cannot_be_asked_is_an_invalid_parameter(
    client: httpx.Client, asked: dict[str, Any], message: str
) -> None:
    answer = client.post(f"{API}/runs/search", json={"experiment_ids": ["1"], **asked})

    assert fault(answer) == (*INVALID, message)


def test_an_experiment_that_is_not_there_has_no_runs(client: httpx.Client) -> None:
    assert names(client, "99999") == []


def test_a_point_that_is_sent_again_is_one(client: httpx.Client) -> None:
    run = begun(client)

    def send(*points: tuple[float | str, int, int]) -> list[tuple[Any, int, int]]:
        metrics = [
            {"key": "m", "value": value, "step": step, "timestamp": time_ms}
            for value, step, time_ms in points
        ]
        logged = client.post(f"{API}/runs/log-batch", json={"run_id": run, "metrics": metrics})
        assert logged.status_code == 200, logged.text
        asked = {"run_id": run, "metric_key": "m"}
        found = client.get(f"{API}/metrics/get-history", params=asked).json()["metrics"]
        return [(each["value"], each["step"], each["timestamp"]) for each in found]

    first = [(1.0, 1, 10), (2.0, 2, 20)]
    assert send(*first, first[0]) == first
    assert send(first[0]) == first
    assert send(("NaN", 2, 20), ("NaN", 2, 20)) == [*first, ("NaN", 2, 20)]
    assert send(("NaN", 2, 20), (3.0, 3, 30), first[1]) == [*first, ("NaN", 2, 20), (3.0, 3, 30)]
    assert send((1.0, 1, 11))[-1] == (1.0, 1, 11)


def test_a_parameter_is_once_in_a_batch(client: httpx.Client) -> None:
    run = begun(client)
    params = [{"key": "q", "value": "1"}, {"key": "q", "value": "2"}]

    answer = client.post(f"{API}/runs/log-batch", json={"run_id": run, "params": params})

    assert fault(answer) == (
        *INVALID,
        "the parameter 'q' is twice in one batch (hint: send it once)",
    )
    data = client.get(f"{API}/runs/get", params={"run_id": run}).json()["run"]["data"]
    assert data["params"] == []


def test_a_file_hides_no_other(client: httpx.Client) -> None:
    run = begun(client)
    place = f"{FILES}/artifacts/runs/{run}/artifacts"
    put = {"content-type": "application/octet-stream"}

    def file(path: str, content: bytes) -> httpx.Response:
        return client.put(f"{place}/{path}", content=content, headers=put)

    assert file("report.txt", b"precious").status_code == 200
    assert file("plots/a/roc.png", b"").status_code == 200
    below, over = file("report.txt/page.txt", b"x"), file("plots", b"x")
    again = file("report.txt", b"newer")

    root = f"mlflow-artifacts:/runs/{run}/artifacts"
    hint = "(hint: log it under another path, or remove the other first)"
    assert fault(below) == (
        409,
        "RESOURCE_CONFLICT",
        f"'report.txt/page.txt' cannot lie in {root}: 'report.txt' is a file there {hint}",
    )
    assert fault(over)[2] == f"'plots' cannot lie in {root}: 'plots' is a folder there {hint}"
    assert (again.status_code, client.get(f"{place}/report.txt").content) == (200, b"newer")


def test_an_empty_file_has_the_size_0_and_a_folder_none(client: httpx.Client) -> None:
    run = begun(client)
    for path in ("empty.txt", "d/a.txt"):
        client.put(f"{FILES}/artifacts/runs/{run}/artifacts/{path}", content=b"")

    found = client.get(f"{API}/artifacts/list", params={"run_id": run}).json()["files"]

    assert found == [
        {"path": "d", "is_dir": True},
        {"path": "empty.txt", "is_dir": False, "file_size": 0},
    ]


def test_a_deleted_experiment_is_not_changed(client: httpx.Client) -> None:
    id = client.post(f"{API}/experiments/create", json={"name": "gone"}).json()["experiment_id"]
    client.post(f"{API}/experiments/delete", json={"experiment_id": id})

    answers = [
        client.post(f"{API}/experiments/{call}", json={"experiment_id": id, **fields})
        for call, fields in (
            ("update", {"new_name": "other"}),
            ("set-experiment-tag", {"key": "a", "value": "1"}),
            ("delete-experiment-tag", {"key": "a"}),
        )
    ]

    message = (
        "the experiment 'gone' was deleted, so it cannot be changed "
        f"(hint: MlflowClient().restore_experiment('{id}'))"
    )
    assert [fault(answer) for answer in answers] == [(*INVALID, message)] * 3


def test_of_two_values_of_a_models_metric_in_a_batch_the_later_counts(
    client: httpx.Client,
) -> None:
    run = begun(client)
    asked = {"experiment_id": "0", "name": "tree", "source_run_id": run}
    model = client.post(f"{API}/logged-models", json=asked).json()["model"]["info"]["model_id"]
    metrics = [
        {"key": "auc", "value": value, "timestamp": 5, "step": step, "model_id": model}
        for value, step in ((0.8, 2), (0.7, 1))
    ]

    client.post(f"{API}/runs/log-batch", json={"run_id": run, "metrics": metrics})

    (kept,) = client.get(f"{API}/logged-models/{model}").json()["model"]["data"]["metrics"]
    assert (kept["value"], kept["step"]) == (0.8, 2)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"max_results": 0}, "expected max_results from 1 to 2,500, got 0"),
        ({"start_step": 1}, "expected start_step and end_step, or neither of them"),
        ({"start_step": 2, "end_step": 1}, "expected an end_step of at least 2, got 1"),
        ({"run_ids": ["run-1"] * 101}, "expected at most 100 run_ids, got 101"),
    ],
)
def test_a_thinned_history_is_asked_for_as_there(
    client: httpx.Client, asked: dict[str, Any], message: str
) -> None:
    params = {"run_ids": ["run-1"], "metric_key": "m", **asked}

    answer = client.get(f"{API}/metrics/get-history-bulk-interval", params=params)

    status, code, said = fault(answer)
    assert ((status, code), said.partition(" (hint")[0]) == (INVALID, message)
