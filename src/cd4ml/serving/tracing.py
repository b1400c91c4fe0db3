"""A span of OpenTelemetry for each request, sent to a collector behind the requests' back."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from typing import Any

from cd4ml.errors import ConfigurationError
from cd4ml.serving.capture import Given
from cd4ml.store.serving_settings import is_address

_MOST_IDS = 100  # of a request's predictions; how many there are is told besides
_FAULT = 500
_FAREWELL_S = 2.0
_NANOSECONDS = 1_000_000_000


class Tracer:
    """Tells a collector which request took how long, and was answered by which version.

    The header `traceparent` (W3C) makes a request part of its caller's trace, and says whether it
    is sampled. The variables OTEL_* count as for every program: headers, sampler, names.
    A collector that is away costs spans, and no answer.

    Args:
        address: The collector's URL, with or without `/v1/traces`.
        environment: Whose endpoint it is.
        worker: The process's name.

    Raises:
        ConfigurationError: If the address is none, or OpenTelemetry is not installed.
    """

    def __init__(self, address: str, *, environment: str, worker: str) -> None:
        if not is_address(address):
            msg = f"expected the URL of a collector of traces, got {address!r}"
            hint = "CD4ML_TRACES=http://127.0.0.1:4318, or [serving] traces"
            raise ConfigurationError(msg, hint=hint)
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace import SpanKind, Status, StatusCode
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
        except ImportError:
            msg = f"traces are to go to {address}, and OpenTelemetry is not installed"
            raise ConfigurationError(msg, hint="pip install 'cd4ml[otel]'") from None
        named = {"service.instance.id": worker, "deployment.environment.name": environment}
        if "OTEL_SERVICE_NAME" not in os.environ:
            named["service.name"] = "cd4ml"
        self._provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint=traces_at(address))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("cd4ml.serving")
        self._context = TraceContextTextMapPropagator()
        self._kind = SpanKind.SERVER
        self._failed = Status(StatusCode.ERROR)

    def record(
        self,
        method: str,
        path: str,
        headers: Iterable[tuple[bytes, bytes]],
        *,
        ended_ns: int,
        seconds: float,
        status: int,
        given: Given | None,
    ) -> None:
        """Note a request that is over.

        Args:
            method: Of HTTP.
            path: Which was asked.
            headers: Of the request.
            ended_ns: When it was over, in nanoseconds since 1970.
            seconds: How long it took.
            status: Of HTTP.
            given: Its rows and the answers to them, if it was answered.
        """
        span = self._tracer.start_span(
            f"{method} {path}",
            context=self._context.extract(_texts(headers)),
            kind=self._kind,
            start_time=ended_ns - int(seconds * _NANOSECONDS),
        )
        if span.is_recording():
            span.set_attributes(_about(method, path, status))
            if given is not None:
                span.set_attributes(_about_answers(given))
            if status >= _FAULT:
                span.set_status(self._failed)
        span.end(ended_ns)

    def stop(self) -> None:
        """Send what was not sent yet, and end; a collector that is away is not waited for long."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces-end", daemon=True)
        ending.start()
        ending.join(_FAREWELL_S)


def traces_at(address: str) -> str:
    """Where a collector takes traces.

    Examples:
        >>> traces_at("http://127.0.0.1:4318"), traces_at("http://otel/v1/traces")
        ('http://127.0.0.1:4318/v1/traces', 'http://otel/v1/traces')
    """
    base = address.rstrip("/")
    return base if base.endswith("/v1/traces") else f"{base}/v1/traces"


def _about(method: str, path: str, status: int) -> dict[str, Any]:
    return {
        "http.request.method": method,
        "http.route": path,
        "http.response.status_code": status,
    }


def _about_answers(given: Given) -> dict[str, Any]:
    asked, answers = given.asked, given.answers
    plan, versions = asked.endpoint.plan, answers.by_row
    numbers = list(dict.fromkeys(version.arm.number for version in versions))
    return {
        "cd4ml.environment": plan.environment,
        "cd4ml.plan": plan.number,
        "cd4ml.model": plan.model,
        "cd4ml.versions": numbers,
        "cd4ml.version": numbers[0],
        "cd4ml.rows": len(asked.ids),
        "cd4ml.prediction_ids": list(asked.ids[:_MOST_IDS]),
    }


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    wanted = (b"traceparent", b"tracestate")
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in wanted}
