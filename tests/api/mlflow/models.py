"""What an MLflow client says and hears of models: a program for the client's own environment."""

import json
import sys


def main(url: str) -> None:
    import mlflow
    import numpy as np
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sklearn.linear_model import LogisticRegression

    is_new = int(mlflow.__version__.split(".")[0]) >= 3
    mlflow.set_tracking_uri(url)
    client = MlflowClient()
    heard: dict[str, object] = {}

    features = pd.DataFrame({"a": np.linspace(-1, 1, 40), "b": np.arange(40) * 0.1})
    target = (features.a > 0).astype(int)
    fitted = LogisticRegression().fit(features, target)
    expected = fitted.predict(features)
    # MLflow 3 saves with skops unless told otherwise, which cd4ml keeps and does not load
    named = (
        {"name": "model", "serialization_format": "cloudpickle"}
        if is_new
        else {"artifact_path": "model"}
    )
    with mlflow.start_run() as run:
        data = mlflow.data.from_pandas(features, name="flights")
        mlflow.log_input(data, context="training", tags={"q": "1"})
        mlflow.log_metric("auc", 0.9, **({"dataset": data} if is_new else {}))
        logged = mlflow.sklearn.log_model(
            fitted,
            signature=mlflow.models.infer_signature(features, expected),
            input_example=features[:3],
            registered_model_name="delay",
            pip_requirements=["scikit-learn"],
            **named,
        )
    seen = client.get_run(run.info.run_id)
    given = seen.inputs.dataset_inputs[0]
    heard["input"] = [given.dataset.name, sorted((tag.key, tag.value) for tag in given.tags)]
    heard["auc"] = len(client.get_metric_history(run.info.run_id, "auc"))
    by_uri = mlflow.pyfunc.load_model(logged.model_uri)
    heard["by uri"] = bool((by_uri.predict(features) == expected).all())
    second = mlflow.register_model(logged.model_uri, "delay", tags={"try": "2"})

    client.set_registered_model_alias("delay", "champion", "1")
    by_alias = mlflow.pyfunc.load_model("models:/delay@champion")
    heard["by alias"] = bool((by_alias.predict(features) == expected).all())
    by_number = mlflow.sklearn.load_model("models:/delay/2")
    heard["by number"] = type(by_number).__name__
    client.set_registered_model_tag("delay", "owner", "ana")
    client.set_model_version_tag("delay", "1", "gate", "pass")
    client.update_registered_model("delay", "which flights are late")
    client.update_model_version("delay", "1", "the first")
    model = client.get_registered_model("delay")
    heard["model"] = [model.description, model.tags, model.aliases, second.version]
    first = client.get_model_version_by_alias("delay", "champion")
    heard["version"] = [first.version, first.description, first.tags, first.status]
    heard["of run"] = first.run_id == run.info.run_id
    heard["passed"] = [
        each.version for each in client.search_model_versions("name='delay' and tags.gate='pass'")
    ]
    heard["all"] = [each.version for each in client.search_model_versions("name='delay'")]
    heard["models"] = [each.name for each in client.search_registered_models("name LIKE 'd%'")]
    heard["newest"] = mlflow.pyfunc.load_model("models:/delay/latest").metadata.run_id == (
        run.info.run_id
    )
    client.delete_registered_model_alias("delay", "champion")
    client.delete_model_version("delay", "2")
    client.delete_model_version_tag("delay", "1", "gate")

    def refused(call: object) -> list[str]:
        try:
            call()  # type: ignore[operator]
        except MlflowException as error:
            return [error.error_code, str(error).splitlines()[0]]
        return ["", "it was let through"]

    heard["refused"] = {
        "deleted": refused(lambda: client.get_model_version("delay", "2"))[0],
        "alias": refused(lambda: client.get_model_version_by_alias("delay", "champion"))[0],
        "twice": refused(lambda: client.create_registered_model("delay"))[0],
        "elsewhere": refused(lambda: client.create_model_version("delay", "s3://bucket/model")),
        "rename": refused(lambda: client.rename_registered_model("delay", "late")),
        "stage": refused(lambda: client.transition_model_version_stage("delay", "1", "Production")),
    }
    if is_new:
        found = mlflow.search_logged_models(
            filter_string="metrics.auc > 0.5 and name = 'model'", output_format="list"
        )
        heard["logged"] = [found[0].name, found[0].metrics[0].value, found[0].model_id]
        heard["same"] = logged.model_id == found[0].model_id
        mlflow.set_logged_model_tags(logged.model_id, {"kind": "linear"})
        heard["kind"] = mlflow.get_logged_model(logged.model_id).tags["kind"]
        heard["made"] = [each.model_id for each in seen.outputs.model_outputs] == [logged.model_id]

    mlflow.sklearn.autolog(log_models=False, log_datasets=False)
    with mlflow.start_run() as automatic:
        LogisticRegression(C=0.5).fit(features, target)
    seen = client.get_run(automatic.info.run_id)
    heard["autolog"] = [seen.data.params["C"], "training_score" in seen.data.metrics]
    print(json.dumps(heard))


if __name__ == "__main__":
    main(*sys.argv[1:])
