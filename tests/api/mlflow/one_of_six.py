"""One of six processes that begin at once on a server whose database has nothing in it."""

import json
import sys


def main(url: str) -> None:
    import mlflow
    from mlflow import MlflowClient

    mlflow.set_tracking_uri(url)
    experiment = mlflow.set_experiment("together")
    client = MlflowClient()
    run = client.create_run(experiment.experiment_id)
    for i in range(100):
        client.log_metric(run.info.run_id, "m", i, step=i)
        if i % 10 == 0:
            client.set_tag(run.info.run_id, f"t{i}", "x")
    client.set_terminated(run.info.run_id)
    print(json.dumps([run.info.run_id, len(client.get_metric_history(run.info.run_id, "m"))]))


if __name__ == "__main__":
    main(*sys.argv[1:])
