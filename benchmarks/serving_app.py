"""The peers of `bench_serving`: programs that run in environments of their own.

    python serving_app.py NAME PORT FOLDER

`echo` is what the server itself costs: raw ASGI that reads the body and sends it back. The others
serve what lies in FOLDER, each in its documented way: `model.onnx`, or the pipeline of
scikit-learn in `model.joblib` on a pandas frame. They check types at most and record nothing.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

TEXTS = ("carrier", "origin", "dest")
NUMBERS = ("month", "hour", "dep_delay", "distance")


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Send back what came."""
    if scope["type"] == "lifespan":
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return
    message = await receive()
    body = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def fastapi_onnx(folder: Path) -> Any:
    """FastAPI with pydantic and the ONNX model that cd4ml serves."""
    import numpy as np
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = str(folder / "model.onnx")
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    output = [session.get_outputs()[-1].name]

    def score(rows: list[Any]) -> list[float]:
        n = len(rows)
        feed = {c: np.array([getattr(r, c) for r in rows], object).reshape(n, 1) for c in TEXTS}
        for c in NUMBERS:
            feed[c] = np.array([getattr(r, c) for r in rows], np.float32).reshape(n, 1)
        scores: list[float] = session.run(output, feed)[0][:, 1].tolist()
        return scores

    return _fastapi(score)


def fastapi_sklearn(folder: Path) -> Any:
    """FastAPI with pydantic and the pipeline of scikit-learn."""
    import pandas as pd

    model = _pipeline(folder)

    def score(rows: list[Any]) -> list[float]:
        frame = pd.DataFrame([row.model_dump() for row in rows])
        scores: list[float] = model.predict_proba(frame)[:, 1].tolist()
        return scores

    return _fastapi(score)


def _fastapi(score: Any) -> Any:
    from fastapi import FastAPI
    from pydantic import BaseModel

    class Row(BaseModel):
        carrier: str
        origin: str
        dest: str
        month: int
        hour: int
        dep_delay: float | None
        distance: float

    class Rows(BaseModel):
        rows: list[Row]

    app = FastAPI()

    @app.post("/predict")
    async def predict(asked: Rows) -> dict[str, list[float]]:
        return {"predictions": score(asked.rows)}

    return app


def lit_serve(port: int, folder: Path) -> None:
    """LitServe: one worker, one process that answers HTTP."""
    import litserve
    from serving_lit import Delay

    server = litserve.LitServer(Delay(folder), accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="warning",
    )


def ray_serve(port: int, folder: Path) -> None:
    """Ray Serve: one replica, on a cluster of this machine."""
    import pandas as pd
    import ray
    from ray import serve

    @serve.deployment(num_replicas=1, max_ongoing_requests=100)
    class Delay:
        def __init__(self) -> None:
            self.model = _pipeline(folder)

        async def __call__(self, request: Any) -> dict[str, list[float]]:
            frame = pd.DataFrame((await request.json())["rows"])
            return {"predictions": self.model.predict_proba(frame)[:, 1].tolist()}

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        _node_ip_address="127.0.0.1",
        object_store_memory=100 * 2**20,
        log_to_driver=False,
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Delay.bind(), route_prefix="/predict")
    while True:
        time.sleep(3600)


def save_for_mlflow(folder: Path) -> None:
    """Write `mlflow/`, a model with a signature, and `mlserver/`, the settings to serve it."""
    import mlflow
    import pandas as pd

    model = _pipeline(folder)
    frame = pd.DataFrame(json.loads((folder / "rows.json").read_text())[:10])
    mlflow.sklearn.save_model(
        model,
        str(folder / "mlflow"),
        serialization_format="cloudpickle",
        pyfunc_predict_fn="predict_proba",
        signature=mlflow.models.infer_signature(frame, model.predict_proba(frame)),
        pip_requirements=["scikit-learn"],
    )


def save_for_mlserver(port: int, folder: Path) -> None:
    """Write the settings of MLServer for the model that `save_for_mlflow` wrote."""
    settings = folder / "mlserver"
    settings.mkdir(exist_ok=True)
    server = {
        "host": "127.0.0.1",
        "http_port": port,
        "grpc_port": port + 1,
        "metrics_port": port + 2,
        "parallel_workers": 0,  # the model in the server's own process: quicker here
        "debug": False,
    }
    model = {
        "name": "delay",
        "implementation": "mlserver_mlflow.MLflowRuntime",
        "parameters": {"uri": str(folder / "mlflow")},
    }
    (settings / "settings.json").write_text(json.dumps(server))
    (settings / "model-settings.json").write_text(json.dumps(model))


def _pipeline(folder: Path) -> Any:
    import joblib

    return joblib.load(folder / "model.joblib")


def main() -> None:
    """Serve until killed."""
    name, port, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if name == "litserve":
        lit_serve(port, folder)
    elif name == "ray":
        ray_serve(port, folder)
    elif name == "save-for-mlflow":
        save_for_mlflow(folder)
    elif name == "mlserver":
        save_for_mlserver(port, folder)
        program = str(Path(sys.executable).with_name("mlserver"))
        os.execv(program, [program, "start", str(folder / "mlserver")])
    else:
        import uvicorn

        apps = {"fastapi-onnx": fastapi_onnx, "fastapi-sklearn": fastapi_sklearn}
        app = echo if name == "echo" else apps[name](folder)
        uvicorn.run(
            app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
        )


if __name__ == "__main__":
    main()
