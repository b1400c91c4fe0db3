"""What an MLflow client says and hears of runs: a program for the client's own environment."""

import json
import sys
import tempfile
from pathlib import Path


def main(url: str) -> None:
    import mlflow
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag, ViewType
    from mlflow.exceptions import MlflowException

    mlflow.set_tracking_uri(url)
    client = MlflowClient()
    heard: dict[str, object] = {}

    mlflow.set_experiment("Flüge ✈")
    mlflow.set_experiment_tag("team", "Zürich")
    with mlflow.start_run(run_name="erste Fahrt", tags={"k": "v"}, description="note") as run:
        mlflow.log_params({"depth": 3, "name": "ü" * 50})
        for step in range(5):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metric("not a number", float("nan"))
        mlflow.log_metrics({"far": float("inf"), "low": float("-inf"), "big": 1e308})
        mlflow.log_text("Grüße", "notes/ä b.txt")
        mlflow.log_dict({"a": 1}, "d.json")
        with tempfile.TemporaryDirectory() as folder:
            large = Path(folder, "large.bin")
            large.write_bytes(bytes(range(256)) * 100_000)  # 25.6 MB
            mlflow.log_artifact(str(large))
        mlflow.set_tag("mlflow.note.content", "was ich sah")
    id = run.info.run_id
    seen = client.get_run(id)
    heard["metrics"] = {key: repr(value) for key, value in seen.data.metrics.items()}
    heard["params"] = seen.data.params
    heard["status"], heard["name"] = seen.info.status, seen.info.run_name
    heard["note"], heard["tag"] = seen.data.tags["mlflow.note.content"], seen.data.tags["k"]
    heard["team"] = client.get_experiment(seen.info.experiment_id).tags["team"]
    heard["history"] = [[m.step, m.value] for m in client.get_metric_history(id, "loss")]
    heard["files"] = sorted(each.path for each in client.list_artifacts(id))
    heard["below"] = [each.path for each in client.list_artifacts(id, "notes")]
    heard["text"] = mlflow.artifacts.load_text(f"runs:/{id}/notes/ä b.txt")
    large = Path(mlflow.artifacts.download_artifacts(run_id=id, artifact_path="large.bin"))
    heard["large"] = large.read_bytes() == bytes(range(256)) * 100_000

    other = client.create_run(seen.info.experiment_id, run_name="viele").info.run_id
    params = [Param(f"p{i:05}", str(i)) for i in range(10_000)]
    for i in range(0, 10_000, 100):
        client.log_batch(other, params=params[i : i + 100])
    points = [Metric("m", float(i), 1_700_000_000_000 + i, i) for i in range(1_000)]
    client.log_batch(other, metrics=points, tags=[RunTag(f"t{i}", "x") for i in range(100)])
    client.set_terminated(other, "FAILED")
    many = client.get_run(other)
    heard["many"] = [len(many.data.params), many.data.metrics["m"], many.info.status]
    heard["points"] = len(client.get_metric_history(other, "m"))

    experiment = seen.info.experiment_id
    for i in range(7):
        third = client.create_run(experiment, run_name=f"n{i}", tags={"group": "pages"})
        client.log_metric(third.info.run_id, "auc", i / 10)
    tokens, pages, token = 0, [], None
    while tokens == 0 or token:
        page = client.search_runs(
            [experiment],
            "tags.group = 'pages' and metrics.auc >= 0.1",
            max_results=4,
            order_by=["metrics.auc DESC"],
            page_token=token,
        )
        token, tokens = page.token, tokens + 1
        pages.append([each.data.metrics["auc"] for each in page])
    heard["pages"] = pages
    heard["found"] = {
        words: len(client.search_runs([experiment], words))
        for words in (
            "params.depth = '3'",
            "attributes.status = 'FAILED'",
            "run_name LIKE 'n%'",
            "tags.k = 'v' and metrics.loss < 0.5",
            f"run_id IN ('{id}', '{other}')",
            "params.depth != '3'",
        )
    }

    client.delete_run(other)
    heard["deleted"] = len(client.search_runs([experiment], "run_name = 'viele'"))
    gone = client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)
    heard["gone"] = [each.info.run_name for each in gone]
    client.restore_run(other)
    heard["restored"] = len(client.search_runs([experiment], "run_name = 'viele'"))

    dead = client.create_experiment("dead")
    client.delete_experiment(dead)
    heard["experiments"] = sorted(each.name for each in client.search_experiments())
    heard["default"] = client.get_experiment("0").name
    client.restore_experiment(dead)
    client.rename_experiment(dead, "alive")
    heard["renamed"] = client.get_experiment_by_name("alive").experiment_id == dead
    heard["unknown"] = client.get_experiment_by_name("nobody's")

    def refused(call: object) -> list[str]:
        try:
            call()  # type: ignore[operator]
        except MlflowException as error:
            return [error.error_code, str(error).splitlines()[0]]
        return ["", "it was let through"]

    heard["refused"] = {
        "param": refused(lambda: client.log_param(id, "depth", 4))[0],
        "run": refused(lambda: client.get_run("0" * 32)),
        "experiment": refused(lambda: client.create_experiment("Flüge ✈")),
        "filter": refused(lambda: client.search_runs([experiment], "metrics.loss ~ 3")),
        "token": refused(lambda: client.search_runs([experiment], page_token="x"))[0],
        "default": refused(lambda: client.delete_experiment("0"))[0],
        "tag": refused(lambda: client.delete_tag(id, "nobody's"))[0],
    }
    print(json.dumps(heard))


if __name__ == "__main__":
    main(*sys.argv[1:])
