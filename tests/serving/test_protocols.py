"""Every protocol answers the same row alike, keeps the contract, and says what is wrong."""

import io
import json
import math
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cd4ml.records.contract import Field, FieldType
from cd4ml.serving.protocols.arrow import ARROW
from cd4ml.serving.protocols.columns import rows_of_texts
from tests.models.builders import CONTRACT, ROW
from tests.serving.builders import Caller, Released, Reply

ROWS: list[dict[str, Any]] = [ROW, ROW | {"temp": None, "dest": None, "carrier": "B6"}]
NAMES = list(CONTRACT.names)
COLUMNS = {name: [row[name] for row in ROWS] for name in NAMES}
SPLIT = {"columns": NAMES[::-1], "data": [[row[name] for name in NAMES[::-1]] for row in ROWS]}
CSV = "wind,carrier,dest,hour,temp\n8.0,AA,BOS,17,40.5\n8.0,B6,,17,\n"
MODEL = "/v2/models/delay"
KINDS = {"string": "BYTES", "integer": "INT64", "number": "FP64"}


def invoke(caller: Caller, body: bytes, kind: str = "application/json") -> Reply:
    return caller.ask(body, path="/invocations", content_type=kind)


def expected(caller: Caller) -> list[float]:
    reply = caller.ask(json.dumps({"rows": ROWS}).encode())
    return [each["score"] for each in reply.json["predictions"]]


def arrow(frame: pl.DataFrame) -> bytes:
    written = io.BytesIO()
    frame.write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
    return written.getvalue()


def tensors(**changes: Any) -> bytes:
    inputs = [
        {
            "name": field.name,
            "shape": [len(ROWS)],
            "datatype": KINDS[field.type],
            "data": COLUMNS[field.name],
        }
        | changes.get(field.name, {})
        for field in CONTRACT.fields
    ]
    return json.dumps({"id": "seven", "inputs": inputs}).encode()


@pytest.mark.parametrize(
    "content",
    [
        {"dataframe_records": ROWS},
        {"dataframe_split": SPLIT},
        {"dataframe_split": SPLIT | {"index": [0, 1]}},
        {"instances": ROWS},
        {"inputs": ROWS},
        {"inputs": COLUMNS},
        {"inputs": {name: [[value] for value in COLUMNS[name]] for name in NAMES}},
    ],
)
def test_each_json_form_of_mlflow_is_answered_alike(
    content: dict[str, Any], caller: Caller, released: Released
) -> None:
    reply = invoke(caller, json.dumps(content).encode())

    assert reply.json["predictions"] == expected(caller)
    assert reply.json["model_version"] == ["delay/1"]
    ids = {each["prediction_id"] for each in released.captured()}
    assert ids > set(reply.json["prediction_ids"])


@pytest.mark.parametrize("kind", ["text/csv", "text/csv; charset=utf-8", "Text/CSV"])
def test_csv_is_read_as_the_contract_says(kind: str, caller: Caller) -> None:
    reply = invoke(caller, CSV.encode(), kind)

    assert reply.json["predictions"] == expected(caller)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("text/csv", "text/csv"),
        ("text/csv, */*;q=0.1", "text/csv"),
        ("application/jsonlines", "application/jsonlines"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("*/*", "application/json"),
        ("text/html", "application/json"),
    ],
)
def test_scores_may_be_lines(accept: str, kind: str, caller: Caller) -> None:
    body = json.dumps({"instances": ROWS}).encode()

    reply = caller.ask(body, path="/invocations", content_type="application/json", accept=accept)

    assert (reply.status, reply.headers["content-type"]) == (200, kind)
    lines = reply.body.decode().splitlines()
    if kind == "text/csv":
        assert [float(line) for line in lines] == expected(caller)
        assert reply.headers["x-amzn-sagemaker-custom-attributes"] == "cd4ml-model=delay/1"
    elif kind == "application/jsonlines":
        assert [json.loads(line)["score"] for line in lines] == expected(caller)
    else:
        assert reply.json["predictions"] == expected(caller)


def test_what_each_field_adds_is_not_left_out_of_lines_without_a_word(
    caller: Caller, released: Released
) -> None:
    before = len(released.captured())

    reply = caller.ask(
        json.dumps({"instances": ROWS}).encode(),
        path="/invocations?contributions=1",
        content_type="application/json",
        accept="text/csv",
    )

    assert (reply.status, reply.json["error"]) == (
        406,
        "what each field adds is said in JSON, and text/csv is asked for",
    )
    assert len(released.captured()) == before


@pytest.mark.parametrize("form", ["instances", "columns"])
def test_nan_is_no_null_in_json(form: str, caller: Caller) -> None:
    row = ROW | {"temp": math.nan}
    content = {"instances": [row]}
    if form == "columns":
        content = {"inputs": {name: [value] for name, value in row.items()}}  # type: ignore[dict-item]

    reply = invoke(caller, json.dumps(content).encode())

    assert reply.status == 422
    assert [each["got"] for each in reply.json["violations"]] == ["NaN"]


def test_inputs_of_one_row_may_be_plain_values(caller: Caller) -> None:
    reply = invoke(caller, json.dumps({"inputs": ROW}).encode())

    assert reply.json["predictions"] == expected(caller)[:1]


@pytest.mark.parametrize("path", ["/predict", "/invocations"])
def test_a_batch_may_be_an_arrow_stream(path: str, caller: Caller) -> None:
    body = arrow(pl.DataFrame(ROWS))

    reply = caller.ask(body, path=path, content_type=ARROW.decode())

    answered = pl.read_ipc_stream(io.BytesIO(reply.body))
    assert reply.headers["content-type"] == ARROW.decode()
    assert answered["score"].to_list() == expected(caller)
    assert answered.columns == ["prediction_id", "score", "model", "number", "artifact", "plan"]


def test_a_table_of_floats_may_hold_whole_numbers_and_nan(caller: Caller) -> None:
    frame = pl.DataFrame(ROWS).with_columns(
        pl.col("hour").cast(pl.Float64), pl.col("temp").fill_null(float("nan"))
    )

    reply = caller.ask(arrow(frame), content_type=ARROW.decode())

    scores = pl.read_ipc_stream(io.BytesIO(reply.body))["score"].to_list()
    assert scores == expected(caller)


def in_each_protocol(hour: float) -> list[tuple[str, str, bytes]]:
    """A row asked about in every way: path, content type, body."""
    row = ROW | {"hour": hour}
    columns = {name: [value] for name, value in row.items()}
    split = {"columns": NAMES, "data": [[row[name] for name in NAMES]]}
    line = ",".join(f"{row[name]}" for name in NAMES)
    contents: list[tuple[str, Any]] = [
        ("/predict", row),
        ("/predict", {"rows": [row]}),
        *(
            ("/invocations", content)
            for content in (
                {"dataframe_records": [row]},
                {"dataframe_split": split},
                {"instances": [row]},
                {"inputs": columns},
            )
        ),
    ]
    contents += [
        (
            f"{MODEL}/infer",
            {
                "inputs": [
                    {
                        "name": each.name,
                        "shape": [1],
                        "datatype": kind if each.name == "hour" else KINDS[each.type],
                        "data": [row[each.name]],
                    }
                    for each in CONTRACT.fields
                ]
            },
        )
        for kind in ("INT64", "FP64")
    ]
    asked = [(path, "application/json", json.dumps(content)) for path, content in contents]
    csv = ("/invocations", "text/csv", f"{','.join(NAMES)}\n{line}\n")
    return [
        *((path, kind, text.encode()) for path, kind, text in [*asked, csv]),
        ("/predict", ARROW.decode(), arrow(pl.DataFrame(columns))),
    ]


def score_in(reply: Reply) -> float:
    if reply.headers["content-type"] == ARROW.decode():
        return float(pl.read_ipc_stream(io.BytesIO(reply.body))["score"][0])
    if "outputs" in reply.json:
        return float(reply.json["outputs"][0]["data"][0])
    (prediction,) = reply.json["predictions"]
    return float(prediction["score"] if isinstance(prediction, dict) else prediction)


@pytest.mark.parametrize("i", range(len(in_each_protocol(17.0))))
def test_a_whole_float_is_an_integer_in_every_protocol_and_no_other_float_is(
    i: int, caller: Caller, released: Released
) -> None:
    path, kind, body = in_each_protocol(17.0)[i]
    answered = caller.ask(body, path=path, content_type=kind)
    path, kind, body = in_each_protocol(17.5)[i]
    refused = caller.ask(body, path=path, content_type=kind)

    assert score_in(answered) == expected(caller)[0]
    assert '"hour":17,' in json.dumps(released.captured()[-2], separators=(",", ":"))
    (violation,) = refused.json["violations"]
    assert (refused.status, violation["field"], violation["got"]) == (422, "hour", "17.5")


def test_the_open_inference_protocol_is_answered_in_json(caller: Caller) -> None:
    reply = caller.ask(tensors(), path=f"{MODEL}/infer")

    (output,) = reply.json["outputs"]
    scores = expected(caller)
    assert output == {"name": "late", "datatype": "FP64", "shape": [2], "data": scores}
    assert (reply.json["model_name"], reply.json["model_version"]) == ("delay", "1")
    assert reply.json["id"] == "seven"
    assert len(reply.json["parameters"]["prediction_ids"].split(",")) == 2


def test_a_model_says_what_it_takes(caller: Caller) -> None:
    known = caller.get(MODEL).json

    assert known["inputs"][0] == {"name": "carrier", "datatype": "BYTES", "shape": [-1]}
    assert known["outputs"] == [{"name": "late", "datatype": "FP64", "shape": [-1]}]
    assert known["versions"] == ["1"]
    assert caller.get(f"{MODEL}/versions/1").json == known
    assert caller.get("/v2").json["extensions"] == ["binary_tensor_data"]
    for path in ("/v2/health/live", "/v2/health/ready", f"{MODEL}/ready", "/ping"):
        assert caller.get(path).status == 200
    assert caller.get("/version").body == b"0.1.0"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/v2/models/fares/infer", "no model answers at /v2/models/fares/infer"),
        (f"{MODEL}/versions/9/infer", "the version '9' of delay does not answer here"),
    ],
)
def test_another_model_does_not_answer(path: str, message: str, caller: Caller) -> None:
    reply = caller.ask(tensors(), path=path)

    assert (reply.status, reply.json["error"]) == (404, message)


def test_all_violations_are_told_at_once_in_every_protocol(caller: Caller) -> None:
    bad = ROWS[0] | {"hour": 24, "carrier": "ZZ"}
    frame = pl.DataFrame([ROWS[0], bad])
    asked = {
        ("$.rows[1].carrier", "$.rows[1].hour"): caller.ask(
            json.dumps({"rows": [ROWS[0], bad]}).encode()
        ),
        ("$.dataframe_records[1].carrier", "$.dataframe_records[1].hour"): invoke(
            caller, json.dumps({"dataframe_records": [ROWS[0], bad]}).encode()
        ),
        ("$[1].carrier", "$[1].hour"): caller.ask(arrow(frame), content_type=ARROW.decode()),
        ("$.inputs[0].data[1]", "$.inputs[2].data[1]"): caller.ask(
            tensors(hour={"data": [17, 24]}, carrier={"data": ["AA", "ZZ"]}), path=f"{MODEL}/infer"
        ),
    }

    for paths, reply in asked.items():
        assert reply.status == 422
        assert tuple(each["path"] for each in reply.json["violations"]) == paths
        assert [each["got"] for each in reply.json["violations"]] == ['"ZZ"', "24"]


def test_a_tensor_that_is_missing_or_too_many_is_told_once(caller: Caller) -> None:
    asked = json.loads(tensors())
    asked["inputs"][2]["name"] = "gate"

    reply = caller.ask(json.dumps(asked).encode(), path=f"{MODEL}/infer")

    assert reply.json["error"] == "the request does not keep the contract 'delay': 2 violations"
    assert reply.json["violations"] == [
        {
            "field": "hour",
            "path": "$.inputs",
            "expected": "an integer from 0 to 23",
            "got": "nothing",
        },
        {"field": "gate", "path": "$.inputs[2]", "expected": "no such field", "got": "an input"},
    ]


def test_a_violation_of_a_table_says_where_its_value_is(caller: Caller) -> None:
    bad = ROWS[0] | {"hour": 24}
    names = [name for name in NAMES[::-1] if name != "wind"]
    split = {
        "columns": [*names, "gate"],
        "data": [[row[name] for name in names] + ["B12"] for row in (ROWS[0], bad, bad)],
    }
    columns = {name: [row[name] for row in (ROWS[0], bad)] for name in names}
    hour = {"field": "hour", "expected": "an integer from 0 to 23", "got": "24"}
    gate = {"field": "gate", "expected": "no such field", "got": "a column"}
    wind = {"field": "wind", "expected": "a number of at least 0", "got": "nothing"}

    told = invoke(caller, json.dumps({"dataframe_split": split}).encode())
    by_name = invoke(caller, json.dumps({"inputs": columns | {"gate": ["B12"] * 2}}).encode())

    assert (told.status, by_name.status) == (422, 422)
    assert told.json["error"] == "the request does not keep the contract 'delay': 4 violations"
    assert told.json["violations"] == [
        wind | {"path": "$.dataframe_split.columns"},
        gate | {"path": "$.dataframe_split.columns[4]"},
        hour | {"path": "$.dataframe_split.data[1][1]"},
        hour | {"path": "$.dataframe_split.data[2][1]"},
    ]
    assert by_name.json["violations"] == [
        wind | {"path": "$.inputs"},
        gate | {"path": "$.inputs.gate"},
        hour | {"path": "$.inputs.hour[1]"},
    ]


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("17", "integer", 17),
        ("17.0", "integer", 17),
        (" -1.70e1\t", "integer", -17),
        ("9007199254740993", "integer", 2**53 + 1),
        ("9007199254740993.0", "integer", 2**53 + 1),
        ("-9223372036854775808", "integer", -(2**63)),
        ("0e999999999", "integer", 0),
        ("17.5", "integer", 17.5),
        ("9007199254740993.5", "integer", "9007199254740993.5"),
        ("9223372036854775808", "integer", 2**63),
        ("1e-999999999", "integer", 0),
        ("1_000", "integer", "1_000"),
        ("\u0661\u0662", "integer", "\u0661\u0662"),
        ("+17", "integer", "+17"),
        ("017", "integer", "017"),
        ("0x11", "integer", "0x11"),
        ("1_0.5", "number", "1_0.5"),
        ("\u0661.5", "number", "\u0661.5"),
        (".5", "number", ".5"),
        ("5.", "number", "5."),
        ("nan", "number", "nan"),
        ("inf", "number", "inf"),
        ("-0.5E-1", "number", -0.05),
        ("", "number", None),
        ("TRUE", "boolean", True),
    ],
)
def test_a_number_of_a_csv_is_written_as_json_writes_it(
    text: str, kind: FieldType, value: Any
) -> None:
    ((got,),) = (row.values() for row in rows_of_texts((Field("n", kind),), ["n"], [[text]]))

    assert (got, type(got)) == (value, type(value))


def test_text_in_a_number_of_a_csv_is_a_violation(caller: Caller) -> None:
    reply = invoke(caller, CSV.replace("17", "noon").encode(), "text/csv")

    assert reply.status == 422
    assert reply.json["violations"][0]["got"] == '"noon"'


@pytest.mark.parametrize(
    ("body", "kind", "status", "message"),
    [
        (b"<xml/>", "text/xml", 415, "the content type 'text/xml' cannot be read"),
        (b"{}", "application/json", 400, "got none"),
        (b'{"inputs": 1, "instances": 2}', "application/json", 400, "got inputs and instances"),
        (b'{"dataframe_split": {"columns": ["hour"]}}', "application/json", 400, "needs columns"),
        (
            b'{"inputs": {"hour": [1], "wind": []}}',
            "application/json",
            400,
            "the columns of inputs have different lengths",
        ),
        (b'{"instances": {}}', "application/json", 400, "instances has no columns"),
        (b"hour,hour\n1,2\n", "text/csv", 400, "no line of different names"),
        (b"hour,wind\n1\n", "text/csv", 400, "row 0 of the CSV has 1 values for 2 columns"),
        (b"\xff", "text/csv", 400, "the body is not CSV in UTF-8"),
        (b"nothing", ARROW.decode(), 400, "the body is not an Arrow stream"),
    ],
)
def test_what_cannot_be_read_is_explained(
    body: bytes, kind: str, status: int, message: str, caller: Caller
) -> None:
    reply = invoke(caller, body, kind)

    assert reply.status == status
    assert message in reply.json["error"]
    assert reply.json["hint"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"shape": [3]}, "the input 'hour' has the shape [3] and 2 values"),
        ({"shape": [1, 2]}, "the input 'hour' has the shape [1, 2] and 2 values"),
        ({"datatype": "INT65"}, "the body is no inference request: Invalid enum value 'INT65'"),
        ({"name": "wind"}, "an input stands twice"),
        (
            {"parameters": {"binary_data_size": 0}},
            "the input 'hour' has both data and a binary_data_size",
        ),
        (
            {"parameters": {"binary_data_size": 16}, "data": None},
            "the input 'hour' says a binary_data_size that the body does not have",
        ),
        ({"shape": [1], "data": [17]}, "the inputs have not all the same number of rows"),
    ],
)
def test_a_tensor_that_cannot_be_read_is_explained(
    changes: dict[str, Any], message: str, caller: Caller
) -> None:
    reply = caller.ask(tensors(hour=changes), path=f"{MODEL}/infer")

    assert reply.status == 400
    assert reply.json["error"].startswith(message)


def test_bytes_that_belong_to_no_tensor_are_refused(caller: Caller) -> None:
    head = tensors(hour={"parameters": {"binary_data_size": 16}, "data": None})
    hours = np.array([17, 17], "<i8").tobytes()

    def asked(body: bytes) -> Reply:
        return caller.ask(
            head + body, path=f"{MODEL}/infer", inference_header_content_length=str(len(head))
        )

    assert asked(hours).status == 200
    assert (asked(hours + b"\0").status, asked(hours + b"\0").json["error"]) == (
        400,
        "the body has bytes that no input says are its own: 1",
    )


PATHS = st.sampled_from(["/predict", "/invocations", f"{MODEL}/infer"])
SENT = st.sampled_from(["application/json", "text/csv", ARROW.decode(), ""])
PIECES = [
    CSV.encode(),
    tensors(),
    json.dumps({"inputs": COLUMNS}).encode(),
    arrow(pl.DataFrame(ROWS)),
]


@given(path=PATHS, kind=SENT, piece=st.sampled_from(PIECES), cut=st.data())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_damaged_bodies_are_never_an_error_of_the_server(
    path: str, kind: str, piece: bytes, cut: st.DataObject, caller: Caller
) -> None:
    place = cut.draw(st.integers(0, len(piece)))
    inserted = cut.draw(st.binary(max_size=8))
    left = cut.draw(st.integers(place, len(piece)))

    reply = caller.ask(piece[:place] + inserted + piece[left:], path=path, content_type=kind)

    assert reply.status in (200, 400, 413, 415, 422)
