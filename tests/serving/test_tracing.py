"""A collector is told of each request; without one, nothing is loaded."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from cd4ml.errors import ConfigurationError
from cd4ml.serving.tracing import Tracer
from tests.models.builders import boosted
from tests.serving.builders import Released, arm, server, until

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Collector:
    """Takes what OTLP over HTTP sends."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.paths: set[str] = set()
        self.of_process: dict[str, Any] = {}
        self.spans: list[Span] = []

    def take(self, path: str, body: bytes) -> None:
        self.paths.add(path)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.of_process = plain(resource.resource.attributes)
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)


@contextmanager
def collector() -> Iterator[Collector]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            found.take(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the screen."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        found = Collector(http.server_port)
        thread = threading.Thread(target=http.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield found
        finally:
            http.shutdown()
            thread.join()


def plain(attributes: Any) -> dict[str, Any]:
    return {each.key: _value(each.value) for each in attributes}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    found = getattr(value, kind)
    return [_value(each) for each in found.values] if kind == "array_value" else found


@pytest.mark.slow
def test_each_request_is_a_span_of_its_callers_trace(project: Released) -> None:
    project.plan(arm(project.model(boosted())))

    with collector() as told:
        away = {"CD4ML_TRACES": told.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        with server(project.folder, **away) as running, running.caller() as caller:
            answered = caller.ask(traceparent=f"00-{TRACE}-{PARENT}-01")
            unsampled = caller.ask(traceparent=f"00-{'1' * 32}-{'2' * 16}-00")
            refused = caller.ask(b"{}", path="/invocations")
            alone = caller.ask(traceparent="nonsense")
            until(lambda: len(told.spans) == 3)
            assert running.end() == 0

    assert [r.status for r in (answered, unsampled, refused, alone)] == [200, 200, 400, 200]
    assert told.paths == {"/v1/traces"}
    assert told.of_process["service.name"] == "cd4ml"
    assert told.of_process["deployment.environment.name"] == "production"
    first, second, third = told.spans
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert (first.name, first.kind) == ("POST /predict", Span.SPAN_KIND_SERVER)
    assert 0 < first.end_time_unix_nano - first.start_time_unix_nano < 10**10
    assert plain(first.attributes) == {
        "http.request.method": "POST",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "cd4ml.environment": "production",
        "cd4ml.plan": 1,
        "cd4ml.model": "delay",
        "cd4ml.version": 1,
        "cd4ml.versions": [1],
        "cd4ml.rows": 1,
        "cd4ml.prediction_ids": [answered.json["predictions"][0]["prediction_id"]],
    }
    assert plain(second.attributes) == {
        "http.request.method": "POST",
        "http.route": "/invocations",
        "http.response.status_code": 400,
    }
    assert (third.parent_span_id, len(third.trace_id)) == (b"", 16)


@pytest.mark.slow
def test_a_collector_that_is_away_costs_spans_and_no_answer(project: Released) -> None:
    project.plan(arm(project.model(boosted())))
    with collector() as gone:
        url = gone.url

    with server(project.folder, CD4ML_TRACES=url) as running, running.caller() as caller:
        assert [caller.ask().status for _ in range(20)] == [200] * 20
        assert running.end() == 0

    assert len(project.captured()) == 20


def test_who_wants_no_traces_loads_nothing_for_them() -> None:
    program = "import sys, cd4ml.serving.server; print(*sys.modules)"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "cd4ml.serving.tracing" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.startswith("opentelemetry")]


def test_what_is_no_url_is_no_collector() -> None:
    with pytest.raises(ConfigurationError) as refused:
        Tracer("nonsense", environment="production", worker="worker")

    assert str(refused.value) == (
        "expected the URL of a collector of traces, got 'nonsense'\n"
        "  hint: CD4ML_TRACES=http://127.0.0.1:4318, or [serving] traces"
    )
