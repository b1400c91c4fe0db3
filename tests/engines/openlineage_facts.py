"""What OpenLineage's specification demands of an event, in our own words, and a server for them.

The facts are those of the RunEvent of spec 2-0-2: which fields there must be, of which form.
What a facet may hold is asked of the package's own classes, which are generated from its schema.
"""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import attr
import jsonschema
from openlineage.client import facet_v2

FACETS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "required": ["_producer", "_schemaURL"],
        "properties": {
            "_producer": {"type": "string", "format": "uri"},
            "_schemaURL": {"type": "string", "format": "uri"},
        },
    },
}
DATASET = {
    "type": "object",
    "required": ["namespace", "name"],
    "properties": {
        "namespace": {"type": "string", "minLength": 1},
        "name": {"type": "string", "minLength": 1},
        "facets": FACETS,
        "inputFacets": FACETS,
        "outputFacets": FACETS,
    },
    "additionalProperties": False,
}
RUN_EVENT = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
    "additionalProperties": False,
    "properties": {
        "eventTime": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d.*(Z|[+-]\d\d:\d\d)$"},
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "producer": {"type": "string", "pattern": "^https?://"},
        "schemaURL": {"type": "string", "pattern": "^https://openlineage.io/spec/.*RunEvent$"},
        "run": {
            "type": "object",
            "required": ["runId"],
            "properties": {
                "runId": {"type": "string", "pattern": "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"},
                "facets": FACETS,
            },
            "additionalProperties": False,
        },
        "job": {
            "type": "object",
            "required": ["namespace", "name"],
            "properties": {
                "namespace": {"type": "string", "minLength": 1},
                "name": {"type": "string", "minLength": 1},
                "facets": FACETS,
            },
            "additionalProperties": False,
        },
        "inputs": {"type": "array", "items": DATASET},
        "outputs": {"type": "array", "items": DATASET},
    },
}  # fmt: skip


def assert_valid(event: dict[str, Any]) -> None:
    """The event has what the specification demands, and facets hold what their classes know."""
    jsonschema.validate(event, RUN_EVENT)
    holders = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
    for holder in holders:
        for kind in ("facets", "inputFacets", "outputFacets"):
            for facet in holder.get(kind, {}).values():
                _assert_known(facet)


def _assert_known(facet: dict[str, Any]) -> None:
    name = facet["_schemaURL"].rpartition("/")[2]
    modules = [module for module in vars(facet_v2).values() if hasattr(module, name)]
    assert modules, f"no facet is called {name}"
    kind = getattr(modules[0], name)
    fields = {field.name: field for field in attr.fields(kind)}
    given = {key for key in facet if key != "_deleted"}
    assert given <= set(fields), f"{name} has no {given - set(fields)}"
    required = {f.name for f in fields.values() if f.default is attr.NOTHING and f.init}
    assert required <= given, f"{name} needs {required - given}"
    assert facet["_schemaURL"] == kind._get_schema()


class Collector:
    """An OpenLineage endpoint on this machine, and what it was sent."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.status = 201
        self.url = ""


@contextmanager
def collector() -> Iterator[Collector]:
    """A collector that answers while the block lasts."""
    seen = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            seen.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            if seen.status < 300:
                seen.events.append(json.loads(body))
            self.send_response(seen.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    seen.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
