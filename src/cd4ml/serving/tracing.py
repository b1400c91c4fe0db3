"""A span of OpenTelemetry for each request, sent to a collector behind the requests' back."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from cd4ml.errors import ConfigurationError
from cd4ml.serving.capture import Asked
from cd4ml.serving.endpoint import Answer
from cd4ml.serving.wire import Message

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
    """

    def __init__(self, address: str, *, environment: str, worker: str) -> None:
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
        scope: Message,
        *,
        ended_ns: int,
        seconds: float,
        status: int,
        asked: Sequence[Asked],
        answered: Sequence[Sequence[Answer]],
    ) -> None:
        """Note a request that is over.

        Args:
            scope: As ASGI describes it.
            ended_ns: When it was over, in nanoseconds since 1970.
            seconds: How long it took.
            status: Of HTTP.
            asked: Its rows, if it was answered.
            answered: The answers to them.
        """
        span = self._tracer.start_span(
            f"{scope['method']} {scope['path']}",
            context=self._context.extract(_texts(scope["headers"])),
            kind=self._kind,
            start_time=ended_ns - int(seconds * _NANOSECONDS),
        )
        if span.is_recording():
            span.set_attributes(_about(scope, status))
            if answered:
                span.set_attributes(_about_answers(asked, answered))
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


def _about(scope: Message, status: int) -> dict[str, Any]:
    return {
        "http.request.method": scope["method"],
        "http.route": scope["path"],
        "http.response.status_code": status,
    }


def _about_answers(asked: Sequence[Asked], answered: Sequence[Sequence[Answer]]) -> dict[str, Any]:
    arms = {id(answers[-1].version.arm): answers[-1].version.arm for answers in answered}
    return {
        "cd4ml.environment": asked[0].endpoint.plan.environment,
        "cd4ml.plan": asked[0].endpoint.plan.number,
        "cd4ml.model": asked[0].endpoint.plan.model,
        "cd4ml.versions": [arm.number for arm in arms.values()],
        "cd4ml.version": next(iter(arms.values())).number,
        "cd4ml.rows": len(asked),
        "cd4ml.prediction_ids": [one.prediction_id for one in asked[:_MOST_IDS]],
    }


def _texts(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    wanted = (b"traceparent", b"tracestate")
    return {name.decode(): value.decode("latin-1") for name, value in headers if name in wanted}
