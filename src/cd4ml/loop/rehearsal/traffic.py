"""An application that asks an endpoint, one request after the other."""

from __future__ import annotations

import http.client
import subprocess
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import msgspec

from cd4ml.errors import Unavailable

_RETRY_S = 0.05


class Answer(msgspec.Struct, frozen=True):
    """What an endpoint says about one row."""

    prediction_id: str
    score: float
    model: str
    number: int
    artifact: str
    plan: int


class _Answers(msgspec.Struct, frozen=True):
    predictions: tuple[Answer, ...]


class _Readiness(msgspec.Struct, frozen=True):
    plan: int
    process: int


class Application:
    """A client of one endpoint over one kept connection.

    A connection that breaks is opened again and the request repeated once, as any
    HTTP client does; `n_failed` counts the requests that got no answer all the same.
    """

    def __init__(self, host: str, port: int, *, timeout_s: float = 30.0) -> None:
        self._connection = http.client.HTTPConnection(host, port, timeout=timeout_s)
        self._decode = msgspec.json.Decoder(_Answers).decode
        self.n_asked = 0
        self.n_failed = 0

    def ask(self, row: Mapping[str, Any], *, key: str = "") -> Answer | None:
        """The endpoint's answer to one row; None, and counted, if it gave none."""
        self.n_asked += 1
        headers = {"content-type": "application/json"}
        if key:
            headers["cd4ml-key"] = key
        status, body = self._post(msgspec.json.encode(row), headers)
        if status != http.client.OK:
            self.n_failed += 1
            return None
        return self._decode(body).predictions[0]

    def wait_until_ready(
        self, *, process: subprocess.Popen[bytes], timeout_s: float, plan: int = 1
    ) -> None:
        """Wait until a process of ours answers, with a plan of at least this number.

        Another process on the port, of another project even, would answer as well: what
        it says of itself has to be the process that was started.

        Raises:
            Unavailable: If it does not within `timeout_s` seconds or ends, or another one
                answers.
        """
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            seen = self._readiness()
            if process.poll() is not None:
                msg = f"the endpoint on port {self._connection.port} ended ({process.returncode})"
                raise Unavailable(msg, hint="its log in .cd4ml/logs says why")
            if seen is not None and seen.process != process.pid:
                msg = f"another endpoint answers on port {self._connection.port}"
                raise Unavailable(msg, hint="end it, or choose another --port")
            if seen is not None and seen.plan >= plan:
                return
            time.sleep(_RETRY_S)
        msg = f"the endpoint on port {self._connection.port} was not ready within {timeout_s:g} s"
        raise Unavailable(msg, hint="its log in .cd4ml/logs says why")

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _readiness(self) -> _Readiness | None:
        """What the endpoint says of itself; None while it is not there or has no plan."""
        try:
            self._connection.request("GET", "/ready")
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            return None
        if response.status != http.client.OK:
            return None
        return msgspec.json.decode(body, type=_Readiness)

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
        for _attempt in range(2):
            try:
                self._connection.request("POST", "/predict", body, headers)
                response = self._connection.getresponse()
                return response.status, response.read()
            except (OSError, http.client.HTTPException):
                self._connection.close()
        return 0, b""
