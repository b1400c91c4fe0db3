"""Makes a history with MLflow alone: a program for the client's own environment."""

import json
import os
import sys


def main(uri: str, artifacts: str) -> None:
    import mlflow
    from mlflow import MlflowClient
    from sklearn.linear_model import LogisticRegression

    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    is_new = int(mlflow.__version__.split(".")[0]) >= 3
    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    mlflow.create_experiment("Flüge ✈", artifact_location=artifacts, tags={"team": "air"})
    mlflow.set_experiment("Flüge ✈")
    fitted = LogisticRegression().fit([[-1.0], [0.0], [1.0]], [0, 0, 1])
    named = (
        {"name": "model", "serialization_format": "cloudpickle"}
        if is_new
        else {"artifact_path": "model"}
    )
    with mlflow.start_run(run_name="first", tags={"k": "v"}, description="seen") as first:
        mlflow.log_params({"depth": 3, "name": "ü"})
        for step in range(25):
            mlflow.log_metric("loss", 1 / (step + 1), step=step)
        mlflow.log_metric("bad", float("nan"))
        mlflow.log_metric("far", float("inf"))
        mlflow.log_text("hello", "notes/hello.txt")
        mlflow.sklearn.log_model(
            fitted, registered_model_name="delay", pip_requirements=["scikit-learn"], **named
        )
    client.set_registered_model_alias("delay", "champion", "1")
    client.set_registered_model_tag("delay", "owner", "ana")
    client.set_model_version_tag("delay", "1", "gate", "pass")
    client.update_registered_model("delay", "which flights are late")
    with mlflow.start_run(run_name="gone") as gone:
        mlflow.log_param("p", 1)
    client.delete_run(gone.info.run_id)
    running = client.create_run(first.info.experiment_id, run_name="goes on").info.run_id
    client.log_metric(running, "loss", 0.5, step=1)
    dead = mlflow.create_experiment("dead")
    client.create_run(dead, run_name="in the dead")
    client.delete_experiment(dead)
    print(json.dumps({"first": first.info.run_id, "gone": gone.info.run_id, "running": running}))


if __name__ == "__main__":
    main(*sys.argv[1:])
