"""The peers of `bench_serving`: programs that run in environments of their own.

    python serving_app.py echo PORT
    python serving_app.py fastapi PORT MODEL.onnx

`echo` is what the server itself costs: raw ASGI that reads the body and sends it back. `fastapi`
is FastAPI with pydantic and the same ONNX model: no contract beyond types, nothing recorded.
"""

import sys
from typing import Any


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


def fastapi_app(model: str) -> Any:
    """`POST /predict` of rows, with types checked by pydantic."""
    import numpy as np
    import onnxruntime as ort
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

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    output = [session.get_outputs()[-1].name]
    numbers = ("month", "hour", "dep_delay", "distance")
    texts = ("carrier", "origin", "dest")
    app = FastAPI()

    @app.post("/predict")
    async def predict(asked: Rows) -> dict[str, list[float]]:
        rows, n = asked.rows, len(asked.rows)
        feed = {c: np.array([getattr(r, c) for r in rows], object).reshape(n, 1) for c in texts}
        for c in numbers:
            feed[c] = np.array([getattr(r, c) for r in rows], np.float32).reshape(n, 1)
        return {"predictions": session.run(output, feed)[0][:, 1].tolist()}

    return app


def main() -> None:
    """Serve until killed."""
    import uvicorn

    name, port = sys.argv[1], int(sys.argv[2])
    app = echo if name == "echo" else fastapi_app(sys.argv[3])
    uvicorn.run(
        app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


if __name__ == "__main__":
    main()
