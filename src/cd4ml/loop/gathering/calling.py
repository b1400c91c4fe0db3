"""Asking a serving process over HTTP, as its callers do."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from cd4ml.models.behaviour.asking import AnswerFailed, Row, RowsRefused
from cd4ml.records.behaviour import Load, Quantile

_TIMEOUT_S = 30.0
_REFUSED = (400, 413, 422)
_WARM_UP = 20  # requests of which nobody takes the time
_LONGEST_S = 10.0  # of a load


class Caller:
    """One connection that stays open.

    Who does not answer in time is not asked again: a model that hangs would be waited for once a row.
    """

    def __init__(self, address: str, *, timeout_s: float = _TIMEOUT_S) -> None:
        host = urlsplit(address)
        self._connection = HTTPConnection(str(host.hostname), host.port, timeout=timeout_s)
        self._silence = ""
        self._timeout_s = timeout_s
        self.n_answered = 0  # rows

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._connection.close()

    def ask(self, rows: Sequence[Row]) -> list[float]:
        """The answer to each row.

        Raises:
            RowsRefused: If they do not keep the contract.
            AnswerFailed: If the process fails on them, or does not answer at all.
        """
        body = rows[0] if len(rows) == 1 else {"rows": list(rows)}
        status, content = self._post(msgspec.json.encode(body))
        if status in _REFUSED:
            raise RowsRefused(f"refused with {status}: {_said(content)}")
        if status != 200:
            raise AnswerFailed(f"failed with {status}: {_said(content)}")
        answers = [each["score"] for each in content["predictions"]]
        self.n_answered += len(answers)
        return answers

    def _post(self, body: bytes) -> tuple[int, Any]:
        if self._silence:
            raise AnswerFailed(self._silence)
        try:
            self._connection.request("POST", "/predict", body, {"content-type": "application/json"})
            reply = self._connection.getresponse()
            return reply.status, msgspec.json.decode(reply.read())
        except TimeoutError:
            self._connection.close()
            self._silence = f"no answer within {self._timeout_s:g} s"
            raise AnswerFailed(self._silence) from None
        except (OSError, HTTPException, msgspec.DecodeError) as error:
            self._connection.close()  # the next one opens it anew
            raise AnswerFailed(f"no answer: {type(error).__name__}: {error}") from None


def load_on(caller: Caller, rows: Sequence[Row], n_requests: int, process: int) -> Load:
    """Single rows asked one after the other, for at most ten seconds.

    Args:
        caller: Connected.
        rows: Asked in turn.
        n_requests: How many, after a few of which nobody takes the time.
        process: Whose memory is looked at.

    Raises:
        RowsRefused: If a row is refused.
        AnswerFailed: If one is not answered.
    """
    for row in rows[:_WARM_UP]:
        caller.ask([row])
    latencies: list[float] = []
    began = time.perf_counter()
    while len(latencies) < n_requests and time.perf_counter() < began + _LONGEST_S:
        row = rows[len(latencies) % len(rows)]
        asked_at = time.perf_counter()
        caller.ask([row])
        latencies.append(1000 * (time.perf_counter() - asked_at))
    return Load(
        n_requests=len(latencies),
        seconds=time.perf_counter() - began,
        p50_ms=_quantile(latencies, 0.5),
        p99_ms=_quantile(latencies, 0.99),
        memory_mb=_peak_memory_mb(process),
    )


def _quantile(latencies: list[float], share: float) -> Quantile:
    from math import isfinite

    from cd4ml.measures.quantiles import quantile

    value, low, high, _ = quantile(latencies, share)
    return Quantile(
        value=value, low=low if isfinite(low) else None, high=high if isfinite(high) else None
    )


def _peak_memory_mb(process: int) -> float | None:
    """The most memory that a process has had, in MB.

    Where the system keeps no peak (macOS) it is what it has now, after the load; None where
    nobody can tell.
    """
    try:
        text = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return _memory_now_mb(process)
    kilobytes = [line.split()[1] for line in text.splitlines() if line.startswith("VmHWM:")]
    return int(kilobytes[0]) * 1024 / 1e6 if kilobytes else None


def _memory_now_mb(process: int) -> float | None:
    command = ["ps", "-o", "rss=", "-p", str(process)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        return int(said) * 1024 / 1e6
    except (OSError, ValueError):  # there is no ps, or no such process
        return None


def _said(content: Any) -> str:
    if not isinstance(content, dict):
        return str(content)
    violations = content.get("violations") or []
    first = f": {violations[0]['path']} expected {violations[0]['expected']}" if violations else ""
    return f"{content.get('error', content)}{first}"
