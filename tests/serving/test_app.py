"""What callers see over HTTP, and what is on record afterwards."""

import gzip
import json
import socket
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import psutil
import pytest

from cd4ml.models.prediction_id import parse
from tests.models.builders import CONTRACT, ROW
from tests.serving.builders import BODY, Caller, Released, Server


def newest(released: Released, n: int) -> list[dict[str, Any]]:
    return released.captured()[-n:]


def test_an_answer_says_which_version_gave_it_under_which_plan(
    caller: Caller, released: Released
) -> None:
    reply = caller.ask()
    (arm,) = caller.get("/ready").json["arms"]
    (prediction,) = reply.json["predictions"]

    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert list(prediction) == ["prediction_id", "score", "model", "number", "artifact", "plan"]
    assert 0 < prediction["score"] < 1
    assert (prediction["model"], prediction["number"], prediction["plan"]) == ("delay", 1, 1)
    assert prediction["artifact"] == arm["artifact"]
    assert parse(prediction["prediction_id"]).plan == 1


def test_a_row_by_itself_is_answered_as_among_others(caller: Caller) -> None:
    (alone,) = caller.ask(json.dumps(ROW).encode()).json["predictions"]
    among = caller.ask(json.dumps({"rows": [ROW, ROW]}).encode()).json["predictions"]

    for each in among:
        assert list(each) == list(alone)
        assert each | {"prediction_id": ""} == alone | {"prediction_id": ""}


def test_what_was_answered_is_on_record(caller: Caller, released: Released) -> None:
    rows = [ROW | {"hour": hour, "temp": None} for hour in range(3)]
    predictions = caller.ask(json.dumps({"rows": rows}).encode()).json["predictions"]
    lines = newest(released, 3)

    assert [line["prediction_id"] for line in lines] == [p["prediction_id"] for p in predictions]
    assert [line["score"] for line in lines] == [p["score"] for p in predictions]
    assert [line["inputs"] for line in lines] == rows
    for line in lines:
        assert list(line) == [
            "prediction_id",
            "answered_at",
            "environment",
            "plan",
            "role",
            "model",
            "number",
            "artifact",
            "score",
            "inputs",
            "key",
        ]
        assert (line["environment"], line["plan"], line["role"]) == ("production", 1, "champion")
        milliseconds = parse(line["prediction_id"]).at.timestamp() * 1000
        assert line["answered_at"] // 1000 == round(milliseconds)


def test_ids_are_never_given_twice(caller: Caller) -> None:
    answers = [caller.ask().json["predictions"][0]["prediction_id"] for _ in range(50)]

    assert len(set(answers)) == 50
    assert answers == sorted(answers)


@pytest.mark.parametrize(
    ("sent", "recorded"),
    [
        (b"flight 17", "flight 17"),
        ("Zürich".encode(), "Zürich"),
        ("Zürich".encode("latin-1"), "Zürich"),
    ],
)
def test_the_callers_key_is_on_record(
    sent: bytes, recorded: str, caller: Caller, released: Released
) -> None:
    assert caller.ask(cd4ml_key=sent).status == 200

    assert newest(released, 1)[0]["key"] == recorded


BAD = {
    "empty": b"",
    "malformed": b'{"rows": [{',
    "not UTF-8": b'{"rows": ["\xff"]}',
    "deeply nested": b"[" * 50_000,
    "missing field": json.dumps({name: ROW[name] for name in ROW if name != "hour"}).encode(),
    "extra field": json.dumps(ROW | {"gate": "B12"}).encode(),
    "wrong type": json.dumps(ROW | {"hour": "17"}).encode(),
    "null": json.dumps(ROW | {"hour": None}).encode(),
    "boolean for a number": json.dumps(ROW | {"wind": True}).encode(),
    "NaN": json.dumps(ROW | {"temp": float("nan")}).encode(),
    "infinity": json.dumps(ROW | {"wind": float("inf")}).encode(),
    "too large a number": json.dumps(ROW | {"wind": 1e300}).encode(),
    "too many digits": json.dumps(ROW).replace("17", "1" * 9000).encode(),
    "out of range": json.dumps(ROW | {"hour": 24}).encode(),
    "unknown category": json.dumps(ROW | {"carrier": "ZZ"}).encode(),
    "NUL": json.dumps(ROW | {"dest": "\0"}).encode(),
    "half a surrogate pair": json.dumps(ROW | {"dest": "\ud800"}).encode(),
    "twice the same name": json.dumps(ROW)[:-1].encode() + b',"hour":3}',
    "half a surrogate pair as a name": b'{"\\ud800": 1, "\\ud800": 2}',
    "half a surrogate pair beside rows": json.dumps({"rows": [ROW], "\ud800": 1}).encode(),
    "no rows": b'{"rows": []}',
    "rows of nothing": b'{"rows": [null]}',
    "a list": json.dumps([ROW]).encode(),
    "a number": b"5",
    "too many rows": json.dumps({"rows": [ROW] * 1001}).encode(),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_input_is_explained_and_leaves_no_trace(
    what: str, caller: Caller, released: Released
) -> None:
    before = len(released.captured())

    reply = caller.ask(BAD[what])

    assert 400 <= reply.status < 500
    assert list(reply.json) == ["error", "hint", "violations"]
    assert reply.json["error"]
    assert reply.json["hint"]
    assert len(released.captured()) == before
    assert caller.ask().status == 200  # the connection goes on


def test_violations_name_field_place_expectation_and_value(caller: Caller) -> None:
    reply = caller.ask(json.dumps({"rows": [ROW, ROW | {"hour": 24, "carrier": "ZZ"}]}).encode())

    assert reply.status == 422
    assert reply.json["violations"] == [
        {
            "field": "carrier",
            "path": "$.rows[1].carrier",
            "expected": 'one of "AA", "B6", "UA"',
            "got": '"ZZ"',
        },
        {
            "field": "hour",
            "path": "$.rows[1].hour",
            "expected": "an integer from 0 to 23",
            "got": "24",
        },
    ]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_hundred_megabytes_are_refused_without_being_kept(
    is_chunked: bool, running: Server, caller: Caller
) -> None:
    memory = psutil.Process(running.process.pid).memory_info
    before, peak = memory().rss, 0
    megabyte = b" " * 2**20
    head = b"transfer-encoding: chunked" if is_chunked else b"content-length: %d" % (100 * 2**20)

    with socket.create_connection(("127.0.0.1", running.port)) as sent:
        sent.sendall(b"POST /predict HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n\r\n")
        for _ in range(100):
            sent.sendall(b"100000\r\n" + megabyte + b"\r\n" if is_chunked else megabyte)
            peak = max(peak, memory().rss)
        sent.sendall(b"0\r\n\r\n" if is_chunked else b"")
        answer = sent.recv(1000)

    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(
        b'{"error":"the body is larger than 10 MB",'
        b'"hint":"send at most 1000 rows in one request","violations":[]}'
    )
    assert peak - before < 40 * 2**20
    assert caller.ask().status == 200


def test_who_closes_the_connection_reads_why_a_large_body_is_refused(running: Server) -> None:
    """Like `urllib`: it sends all it has, then reads; closed before, it would read a reset."""
    with pytest.raises(HTTPError) as refusal:
        urlopen(Request(f"http://127.0.0.1:{running.port}/predict", b" " * (11 * 2**20)))

    assert refusal.value.code == 413
    assert json.load(refusal.value)["error"] == "the body is larger than 10 MB"


@pytest.mark.parametrize("body", [gzip.compress(BODY), BODY], ids=["compressed", "not"])
def test_a_compressed_body_is_refused_as_that_whatever_is_in_it(
    body: bytes, caller: Caller
) -> None:
    reply = caller.ask(body, content_encoding="gzip")

    assert reply.status == 415
    assert reply.json == {
        "error": "the body is compressed (gzip), which is not read",
        "hint": "send it as it is, without content-encoding",
        "violations": [],
    }


def test_a_body_that_says_that_it_is_not_compressed_is_read(caller: Caller) -> None:
    assert caller.ask(content_encoding="Identity").status == 200


def test_blanks_around_a_key_are_no_part_of_it(caller: Caller, released: Released) -> None:
    caller.ask(cd4ml_key="  ada lovelace \t ")

    assert released.captured()[-1]["key"] == "ada lovelace"


def test_a_large_body_within_the_limit_is_read(caller: Caller) -> None:
    reply = caller.ask(json.dumps({"rows": [ROW] * 1000}, indent=400).encode())

    assert reply.status == 200
    assert len(reply.json["predictions"]) == 1000


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/try", 404, "nothing answers at /try"),
        ("POST", "/", 405, "expected a GET of /, got POST"),
        ("POST", "/predict/", 404, "nothing answers at /predict/"),
        ("GET", "/../etc/passwd", 404, "nothing answers at /../etc/passwd"),
        ("POST", "/v2/unknown", 404, "nothing answers at /v2/unknown"),
        ("POST", "/v2/models/delay", 405, "expected a GET of /v2/models/delay, got POST"),
        ("GET", "/predict", 405, "expected a POST to /predict, got GET"),
        ("DELETE", "/health", 405, "expected a GET of /health, got DELETE"),
    ],
)
def test_other_paths_and_methods_are_refused_in_json(
    method: str, path: str, status: int, error: str, caller: Caller
) -> None:
    reply = caller.ask(b"", method=method, path=path)

    assert reply.status == status
    assert reply.json["error"] == error
    if status == 405:
        assert reply.headers["allow"] == ("POST" if "a POST" in error else "GET, HEAD")
    else:
        assert reply.json["hint"].endswith("/v2, POST /predict, POST /invocations")


def test_the_pages_say_how_the_server_is(caller: Caller, released: Released) -> None:
    assert caller.get("/health").json == {"health": "ok"}
    assert caller.get("/contract").json["name"] == CONTRACT.name
    assert [field["name"] for field in caller.get("/contract").json["fields"]] == list(ROW)
    ready = caller.get("/ready")
    assert ready.status == 200
    assert (ready.json["environment"], ready.json["plan"]) == ("production", 1)
    (arm,) = ready.json["arms"]
    assert (arm["role"], arm["kind"], arm["weight_percent"]) == ("champion", "onnx", 100)


def test_the_counts_are_what_was_asked(caller: Caller) -> None:
    def counts() -> dict[str, float]:
        lines = caller.get("/metrics").body.decode().splitlines()
        return {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in lines
            if not line.startswith("#")
        }

    before = counts()
    caller.ask(json.dumps({"rows": [ROW] * 3}).encode())
    caller.ask(json.dumps({"rows": [ROW, ROW | {"dest": "ZRH"}, ROW | {"dest": None}]}).encode())
    caller.ask(b"{")
    after = counts()

    def grown(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert grown('cd4ml_predictions_total{model="delay",version="1",role="champion"}') == 6
    assert grown('cd4ml_unknown_categories_total{field="dest"}') == 1
    assert grown('cd4ml_requests_total{status="200"}') == 2
    assert grown('cd4ml_requests_total{status="400"}') == 1
    assert grown("cd4ml_refused_total") == 1
    assert after["cd4ml_plan"] == 1


def test_a_caller_who_leaves_in_the_middle_of_a_request_disturbs_nobody(
    running: Server, caller: Caller
) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as sent:
        sent.sendall(
            b"POST /predict HTTP/1.1\r\nhost: x\r\ncontent-length: 900\r\n\r\n" + BODY[:50]
        )

    assert caller.ask().status == 200
