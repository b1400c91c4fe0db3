"""Makes a history with what must not come over, by MLflow alone: for the client's environment."""

import json
import os
import sys
from pathlib import Path


def main(uri: str, artifacts: str, secret: str) -> None:
    os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
    import mlflow
    from mlflow import MlflowClient
    from mlflow.data import from_pandas
    from pandas import DataFrame

    mlflow.set_tracking_uri(uri)
    client = MlflowClient()
    experiment = mlflow.set_experiment(
        experiment_id=mlflow.create_experiment("odd", artifact_location=artifacts)
    ).experiment_id
    run = client.create_run(experiment, run_name="odd").info.run_id
    client.log_metric(run, "loss", 0.5, timestamp=1_795_720_606_237_319_948, step=0)
    client.log_metric(run, "loss", 0.25, timestamp=1_700_000_000_000, step=1)
    client.log_text(run, "hello", "d/hello.txt")
    here = Path(artifacts) / run / "artifacts"
    (here / "link.txt").symlink_to(Path(secret) / "secret.txt")
    (here / "folder").symlink_to(secret)
    client.create_run(experiment, run_name="later")

    held_out = from_pandas(DataFrame({"a": [1]}), name="held out")
    model = mlflow.initialize_logged_model(name="tree", source_run_id=run)
    with mlflow.start_run(run_id=run):
        mlflow.log_metric("auc", 0.8, step=2, model_id=model.model_id, dataset=held_out)
        mlflow.log_metric("auc", 0.7, step=1, model_id=model.model_id, dataset=held_out)
        mlflow.log_metric("size", 3, model_id=model.model_id)
    client.create_registered_model("delay")
    sources = (
        f"runs:/{run}/d",
        f"runs:/{run}/nothing",
        secret,
        f"file://{secret}",
        str(here / "folder"),
        f"{here}/../../../secret",
    )
    for source in sources:
        client.create_model_version("delay", source, run)
    print(json.dumps({"run": run, "model": model.model_id, "artifacts": str(here)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
