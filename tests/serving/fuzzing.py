"""Requests of every kind that nobody should send, made by hypothesis, and how they are sent."""

import csv
import io
import json
import socket
from dataclasses import dataclass, field
from typing import Any

import polars as pl
from hypothesis import strategies as st

from cd4ml.serving.protocols.arrow import ARROW
from tests.models.builders import CONTRACT, ROW

INFER = "/v2/models/delay/infer"
JSON, CSV, OCTETS = "application/json", "text/csv", "application/octet-stream"
_KINDS = {"string": "BYTES", "integer": "INT64", "number": "FP64"}
_HEADER = "inference-header-content-length"


@dataclass(frozen=True)
class Sent:
    """One request as bytes go: whatever is in it, its length is said rightly."""

    path: str = "/predict"
    body: bytes = b""
    kind: str = JSON
    method: str = "POST"
    headers: tuple[tuple[bytes, bytes], ...] = field(default=())

    def raw(self) -> bytes:
        """What goes over the wire."""
        head = [
            f"{self.method} {self.path} HTTP/1.1".encode("latin-1"),
            b"host: fuzz",
            *([b"content-type: " + self.kind.encode("latin-1")] if self.kind else []),
            b"content-length: %d" % len(self.body),
            *(name + b": " + value for name, value in self.headers),
        ]
        return b"\r\n".join(head) + b"\r\n\r\n" + self.body


class Wire:
    """A connection that is opened again when the server has closed it."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._socket: socket.socket | None = None

    def ask(self, sent: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body of the answer.

        Raises:
            OSError: If there is none.
        """
        for attempt in (1, 2):  # an idle connection may have been closed meanwhile
            fresh = self._socket is None
            if self._socket is None:
                self._socket = socket.create_connection(("127.0.0.1", self._port), timeout=20)
            try:
                self._socket.sendall(sent)
                return self._read(self._socket)
            except OSError:
                self.close()
                if fresh or attempt == 2:
                    raise
        raise AssertionError

    def close(self) -> None:
        """End the connection."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _read(self, connection: socket.socket) -> tuple[int, bytes, bytes]:
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._more(connection)
        head, _, body = data.partition(b"\r\n\r\n")
        lines = head.lower().split(b"\r\n")
        length = next((int(x[15:]) for x in lines if x.startswith(b"content-length:")), None)
        if length is None or b"connection: close" in lines:
            self._socket = None
            while chunk := connection.recv(65536):
                body += chunk
            connection.close()
        else:
            while len(body) < length:
                body += self._more(connection)
        return int(head.split(b" ", 2)[1]), head, body

    @staticmethod
    def _more(connection: socket.socket) -> bytes:
        chunk = connection.recv(65536)
        if not chunk:
            raise ConnectionResetError
        return chunk


# --- bodies that would be answered ------------------------------------------------------------


def tensors(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Rows as the Open Inference Protocol has them."""
    return {
        "inputs": [
            {
                "name": each.name,
                "shape": [len(rows)],
                "datatype": _KINDS[each.type],
                "data": [row.get(each.name) for row in rows],
            }
            for each in CONTRACT.fields
        ]
    }


def arrow(frame: pl.DataFrame) -> bytes:
    """A frame as a stream."""
    written = io.BytesIO()
    frame.write_ipc_stream(written, compat_level=pl.CompatLevel.oldest())
    return written.getvalue()


def table(rows: list[dict[str, Any]]) -> bytes:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(ROW)
    writer.writerows([row.get(name) for name in ROW] for row in rows)
    return text.getvalue().encode("utf-8", "replace")


_ROWS = [ROW, ROW | {"temp": None, "dest": None}]
_PACKED = arrow(pl.DataFrame(_ROWS))
GOOD = (
    Sent("/predict", json.dumps(ROW).encode()),
    Sent("/predict?contributions=1", json.dumps({"rows": _ROWS, "explain": True}).encode()),
    Sent("/predict", _PACKED, ARROW.decode()),
    Sent("/invocations", json.dumps({"dataframe_records": _ROWS}).encode()),
    Sent("/invocations", json.dumps({"inputs": {n: [v] for n, v in ROW.items()}}).encode()),
    Sent(
        "/invocations",
        json.dumps(
            {"dataframe_split": {"columns": list(ROW), "data": [list(ROW.values())]}}
        ).encode(),
    ),
    Sent("/invocations?contributions=1", _PACKED, ARROW.decode()),
    Sent("/invocations", table(_ROWS), CSV),
    Sent(INFER, json.dumps(tensors(_ROWS)).encode()),
)

# --- what is made of them ----------------------------------------------------------------------

_ODD_JSON = st.sampled_from(
    [
        "NaN", "Infinity", "-Infinity", "-0.0", "1e400", "-1e400", "1e-400", "3.5e38", "1e39",
        "18446744073709551616", "-9223372036854775809", "9223372036854775807", "9" * 5000, "0" * 40,
        "1.", ".5", "+1", "0x10", "1e", "--1", "nul", "True", '"\\ud800"', '"\\u0000"', '"\\x41"', '"\t"',
        '"' + "A" * 70_000 + '"', '"\\ud83d\\ude00"', "[]", "{}", "[" * 3000, "[" * 500 + "]" * 500,
        '{"a":' * 2000, "null", "true", '"17"', "17.0", "17.5", '["a", ["b"]]', "", " ", "\ufeff1",
        '"2013-02-01T25:00:00Z"', '"\u202e"', "1_000", "\u0661",
    ]
)  # fmt: skip
_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=12)
    | st.sampled_from(["AA", "BOS", "", "ZZ"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*ROW, "rows", "gate", ""]), inner, max_size=4)
    ),
    max_leaves=8,
)
_NAMES = st.sampled_from([*ROW, "rows", "explain", "gate", "", "ho\\u0075r", "h:our", "\\ud800"])
_PATHS = st.sampled_from(["/predict", "/predict?contributions=1", "/invocations", INFER])
_MEDIA = st.sampled_from(
    [JSON, CSV, ARROW.decode(), OCTETS, "", "text/csv; charset=latin-1", "multipart/form-data",
     "application/json; charset=utf-16", "application/x-www-form-urlencoded", "\xff", "a" * 3000]
)  # fmt: skip


@st.composite
def _damaged(draw: st.DrawFn) -> Sent:
    """A good body in which something was cut out, put in, or doubled."""
    good = draw(st.sampled_from(GOOD))
    body = good.body
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(body)))
        left = min(len(body), place + draw(st.sampled_from([0, 0, 1, 2, 4, 8, 40])))
        inserted = draw(
            st.binary(max_size=8)
            | st.sampled_from([b"\xff\xff\xff\x7f", b"\0" * 8, b"\xed\xa0\x80"])
        )
        body = body[:place] + inserted + body[left:]
    return Sent(good.path, body, draw(st.just(good.kind) | _MEDIA))


@st.composite
def _odd_json(draw: st.DrawFn) -> Sent:
    """A row with odd values, names that stand twice, and others that nobody knows."""
    pairs = [(name, json.dumps(value)) for name, value in ROW.items()]
    for _ in range(draw(st.integers(1, 3))):
        odd = draw(_ODD_JSON)
        name = draw(_NAMES)
        pairs = [(n, odd if n == name and draw(st.booleans()) else v) for n, v in pairs]
        if draw(st.booleans()):
            pairs.insert(draw(st.integers(0, len(pairs))), (name, odd))
    row = "{" + ",".join(f'"{name}":{value}' for name, value in pairs) + "}"
    shapes = {
        "/predict": ["%s", '{"rows":[%s]}', '{"rows":[%s,%s]}', '[%s]', '{"explain":true,"rows":[%s]}'],
        "/predict?contributions=1": ["%s", '{"rows":[%s]}'],
        "/invocations": [
            '{"instances":[%s]}', '{"inputs":%s}', '{"dataframe_records":[%s,%s]}', '{"dataframe_split":%s}',
            '{"inputs":[%s],"instances":[%s]}',
        ],
        INFER: ['{"inputs":[%s]}', "%s"],
    }  # fmt: skip
    path = draw(st.sampled_from(list(shapes)))
    text = draw(st.sampled_from(shapes[path])).replace("%s", row)
    return Sent(path, text.encode("utf-8", "surrogatepass"))


@st.composite
def _any_json(draw: st.DrawFn) -> Sent:
    """A tree of anything, as itself or as a row's value."""
    value = draw(_VALUES)
    if draw(st.booleans()):
        value = {draw(st.sampled_from(["rows", "instances", "inputs", "dataframe_split"])): value}
    return Sent(draw(_PATHS), json.dumps(value).encode())


_SIZES = st.sampled_from([0, 1, 2, 7, 8, 16, 24, -1, 2**31, 2**63, 2**70, True, "8", None, 1.5])
_SHAPES = st.lists(
    st.sampled_from([0, 1, 2, 3, -1, 10**9, 2**70, 1.5, "2", None]), max_size=4
) | st.sampled_from([None, {}, "2"])


@st.composite
def _tensors(draw: st.DrawFn) -> Sent:
    """Tensors whose shapes, types, sizes and bytes do not fit."""
    content = tensors(_ROWS)
    packed = b""
    for tensor in draw(st.lists(st.sampled_from(content["inputs"]), max_size=3)):
        change = draw(st.sampled_from(["shape", "datatype", "data", "size", "name", "binary"]))
        if change == "shape":
            tensor["shape"] = draw(_SHAPES)
        elif change == "datatype":
            tensor["datatype"] = draw(
                st.sampled_from(
                    ["BOOL", "UINT8", "UINT64", "INT8", "FP16", "FP32", "BYTES", "BF16", 5]
                )
            )
        elif change == "data":
            tensor["data"] = draw(st.lists(_VALUES, max_size=3) | _VALUES)
        elif change == "name":
            tensor["name"] = draw(st.sampled_from(["hour", "gate", "", 7]))
        else:
            tensor.pop("data", None)
            data = draw(
                st.binary(max_size=24) | st.sampled_from([b"\xff" * 16, b"\x02\0\0\0AA" * 2])
            )
            size = len(data) if change == "binary" else draw(_SIZES)
            tensor["parameters"] = {"binary_data_size": size}
            packed += data
    if draw(st.booleans()):
        content["outputs"] = draw(
            st.lists(
                st.fixed_dictionaries(
                    {"name": st.sampled_from(["late", "contributions", "score"])},
                    optional={"parameters": st.fixed_dictionaries({"binary_data": _VALUES})},
                ),
                max_size=3,
            )
        )
    head = json.dumps(content).encode()
    length = draw(st.just(str(len(head))) | st.sampled_from(["0", "-1", "9" * 30, "x", "\xb2", ""]))
    headers = ((_HEADER.encode(), length.encode("latin-1")),) if draw(st.booleans()) else ()
    return Sent(INFER, head + packed, OCTETS, headers=headers)


_COLUMNS = st.sampled_from(
    [
        pl.Series([[1], [2]]),
        pl.Series([{"a": 1}, {"a": None}]),
        pl.Series([b"\xff", b""]),
        pl.Series([None, None]),
        pl.Series([1.5, float("nan")]),
        pl.Series([float("inf"), -float("inf")]),
        pl.Series(["17", "x"]),
        pl.Series(["AA", "B6"], dtype=pl.Categorical),
        pl.Series([True, None]),
        pl.Series([2**63, 2**64 - 1], dtype=pl.UInt64),
        pl.Series(["1.5", "2"]).cast(pl.Decimal(38, 2)),
        pl.Series([1, 2]).cast(pl.Duration("us")),
        pl.Series([1, 2]).cast(pl.Time),
        pl.Series([1, -(2**62)]).cast(pl.Datetime("us")),
        pl.Series([1, 2]).cast(pl.Datetime("ns", "Europe/Berlin")),
        pl.Series([-(10**6), 10**6]).cast(pl.Date),
        pl.Series([2**100, None], dtype=pl.Int128),
    ]
)


@st.composite
def _frames(draw: st.DrawFn) -> Sent:
    """Columns of types that no request has."""
    frame = pl.DataFrame(_ROWS)
    for name in draw(st.lists(st.sampled_from([*ROW, "gate"]), min_size=1, max_size=3)):
        frame = frame.with_columns(draw(_COLUMNS).alias(name))
    if draw(st.booleans()):
        frame = frame.select(draw(st.permutations(frame.columns))[: draw(st.integers(0, 6))])
    frame = frame.head(draw(st.sampled_from([2, 2, 1, 0])))
    return Sent(draw(st.sampled_from(["/predict", "/invocations"])), arrow(frame), ARROW.decode())


_CELLS = st.sampled_from(
    ["", "AA", "17", "17.0", "1e400", "nan", "inf", "-inf", "1_0", " 5 ", "\u0661", '"', '"a,b"', "\0", "true",
     "9" * 5000, "\ufeff", "\u00b2", "-", "--5", "5" * 40, "\r", '"x\ny"']
)  # fmt: skip


@st.composite
def _tables(draw: st.DrawFn) -> Sent:
    """CSV with odd cells, ragged lines, and names that do not fit."""
    names = draw(st.permutations(list(ROW)))[: draw(st.sampled_from([5, 5, 5, 4, 0]))]
    cells = st.lists(_CELLS, min_size=len(names), max_size=len(names))
    lines = [names, *draw(st.lists(cells, max_size=3))]
    if draw(st.integers(0, 4)) == 0:
        lines.append(["17"] * draw(st.integers(0, 9)))
    text = draw(st.sampled_from(["\n", "\r\n", "\r"])).join(",".join(line) for line in lines)
    encoding = draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "latin-1"]))
    return Sent("/invocations", text.encode(encoding, "replace"), CSV)


_LATIN = st.text(
    st.characters(min_codepoint=33, max_codepoint=255, exclude_characters="\x7f"), max_size=20
)


@st.composite
def _odd_heads(draw: st.DrawFn) -> Sent:
    """Paths, methods, queries and headers of all kinds around a good body."""
    good = draw(st.sampled_from(GOOD))
    path = draw(
        st.sampled_from(
            ["/", "/predict/", "//predict", "/v2", "/v2/models/other/infer", "/v2/models/delay/versions/9/infer",
             "/v2/models/delay/versions/1/infer", "/v2/models/%2e%2e/infer", "/v2/models//infer", "/v2/models/delay",
             "/metrics", "/ready", "/contract", "/openapi.json", "/version", "/ping", "/%00", "/predict%00", "*",
             "/predict?contributions=%ff", "/predict?contributions", "/predict?&&==&contributions=2",
             "/predict?contributions=1&contributions=0", "/../../etc/passwd"]
        )
        | st.just(good.path)
    )  # fmt: skip
    method = draw(st.sampled_from(["POST", "POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS"]))
    headers = draw(
        st.lists(
            st.tuples(
                st.sampled_from(
                    [b"cd4ml-key", b"accept", b"authorization", b"x-odd", b"content-encoding"]
                ),
                _LATIN.map(lambda text: text.encode("latin-1")),
            ),
            max_size=3,
        )
    )
    return Sent(path, good.body, draw(_MEDIA), method, tuple(headers))


REQUESTS = st.one_of(
    _damaged(), _odd_json(), _any_json(), _tensors(), _frames(), _tables(), _odd_heads()
)
