"""An Arrow stream is read as Polars reads it, and whatever a stranger makes of one is explained."""

import io
import random
import struct
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cd4ml.models.frames import to_plain
from cd4ml.serving.protocols.arrow import ARROW
from cd4ml.serving.protocols.arrow_messages import read_messages
from cd4ml.serving.protocols.arrow_stream import ColumnReader
from cd4ml.serving.protocols.flatbuffers import Damaged
from cd4ml.serving.request import MAX_BYTES, RequestRefused
from tests.models.builders import ROW
from tests.serving.builders import Caller, Reply
from tests.serving.streams import CODECS, END, GOOD, Codec, batches, mutated, stream

HINT = "write it with an IPC stream writer"


def read(data: bytes) -> dict[str, list[Any]]:
    """The columns of a stream."""
    found = read_messages(data)
    return ColumnReader(found, frozenset(column.name for column in found.columns)).read()


def in_polars(data: bytes) -> dict[str, list[Any]]:
    """What Polars reads in a stream, as JSON has it."""
    frame = pl.read_ipc_stream(io.BytesIO(data))
    return {column.name: to_plain(column).to_list() for column in frame.iter_columns()}


def ask(caller: Caller, data: bytes) -> Reply:
    return caller.ask(data, content_type=ARROW.decode())


NEAR = datetime(1980, 1, 1)  # noqa: DTZ001
TYPES: list[tuple[Any, st.SearchStrategy[Any]]] = [
    (pl.Int8, st.integers(-128, 127)),
    (pl.UInt16, st.integers(0, 2**16 - 1)),
    (pl.Int64, st.integers(-(2**63), 2**63 - 1)),
    (pl.UInt64, st.integers(0, 2**64 - 1)),
    (pl.Float32, st.floats(width=32, allow_nan=False)),
    (pl.Float64, st.floats(allow_nan=False)),
    (pl.Boolean, st.booleans()),
    (pl.String, st.text(max_size=30)),
    (pl.Categorical, st.sampled_from(["a", "ö", "a text of more than twelve bytes", ""])),
    (pl.Enum(["a", "b"]), st.sampled_from(["a", "b"])),
    (pl.Date, st.dates()),
    (pl.Datetime("us"), st.datetimes()),
    (pl.Datetime("ms", "Europe/Berlin"), st.datetimes(NEAR, NEAR + timedelta(10_000))),
    (pl.Datetime("ns"), st.datetimes(NEAR - timedelta(90_000), NEAR + timedelta(70_000))),
    (pl.Decimal(20, 2), st.decimals(-(10**9), 10**9, places=2)),
    (pl.Null, st.none()),
]


@st.composite
def frames(draw: st.DrawFn) -> pl.DataFrame:
    n = draw(st.integers(0, 20))
    columns = []
    for i, (dtype, values) in enumerate(draw(st.lists(st.sampled_from(TYPES), max_size=6))):
        found = draw(st.lists(st.none() | values, min_size=n, max_size=n))
        zone = getattr(dtype, "time_zone", None)
        plain = pl.Datetime("ms") if zone else dtype
        column = pl.Series(f"ö{i}", found, dtype=plain)
        columns.append(
            column.dt.replace_time_zone(zone, ambiguous="earliest", non_existent="null")
            if zone
            else column
        )
    frame = pl.DataFrame(columns)
    return frame


@given(frame=frames(), codec=st.sampled_from(CODECS), views=st.booleans())
@settings(max_examples=150, deadline=None)
def test_a_stream_is_read_as_polars_reads_it(
    frame: pl.DataFrame, codec: Codec, views: bool
) -> None:
    data = batches(frame, frame.head(1), codec=codec, views=views)

    assert read(data) == in_polars(data)


@pytest.mark.parametrize("codec", [None, "zstd", "lz4"])
def test_a_stream_of_pyarrow_is_read_batch_by_batch(codec: str | None) -> None:
    """Its texts have offsets of 32 bits, its slices do not begin at 0, its times are in seconds."""
    pa = pytest.importorskip("pyarrow")
    whole = pa.table(
        {
            "text": ["é", None, "", "a text of more than twelve bytes", "x"] * 4,
            "kind": pa.array(["u", "v", None, "u", "w"] * 4).dictionary_encode(),
            "at": pa.array(
                [datetime(2013, 2, 1, 5, tzinfo=UTC), None] * 10, pa.timestamp("s", "UTC")
            ),
            "day": pa.array([date(2013, 2, 1), None] * 10, pa.date64()),
            "half": pa.array([np.float16(1.5), None] * 10, pa.float16()),
            "price": pa.array([Decimal("1.50"), None] * 10, pa.decimal128(38, 2)),
        }
    )
    table, written = whole.slice(3), io.BytesIO()
    with pa.ipc.new_stream(
        written, table.schema, options=pa.ipc.IpcWriteOptions(compression=codec)
    ) as writer:
        writer.write_table(table, max_chunksize=5)

    expected = table.to_pydict()
    expected["at"] = [at and at.strftime("%Y-%m-%dT%H:%M:%S.000000Z") for at in expected["at"]]
    expected["day"] = [at and f"{at}T00:00:00.000000Z" for at in expected["day"]]
    expected["half"] = [None if x is None else float(x) for x in expected["half"]]
    expected["price"] = [None if x is None else float(x) for x in expected["price"]]
    assert read(written.getvalue()) == expected


def test_dictionaries_that_grow_or_are_replaced_are_followed() -> None:
    pa = pytest.importorskip("pyarrow")
    kinds = [["a"], ["a", "b"], ["c"]]
    batches = [
        pa.record_batch({"kind": pa.DictionaryArray.from_arrays([len(each) - 1], each)})
        for each in kinds
    ]
    for deltas in (True, False):
        written = io.BytesIO()
        options = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=deltas)
        with pa.ipc.new_stream(written, batches[0].schema, options=options) as writer:
            for batch in batches:
                writer.write_batch(batch)

        assert read(written.getvalue()) == {"kind": ["a", "b", "c"]}


def test_a_decimal_that_is_whole_is_that_integer_however_large() -> None:
    frame = pl.DataFrame({"n": pl.Series(["9007199254740993.00", "0.10"]).cast(pl.Decimal(38, 2))})

    assert read(stream(frame)) == {"n": [2**53 + 1, 0.1]}


@pytest.mark.parametrize("data", GOOD)
def test_a_stream_that_was_cut_off_is_refused_wherever_it_was_cut(data: bytes) -> None:
    for n in range(len(data)):
        with pytest.raises(Damaged):
            read(data[:n])


def test_nulls_that_nothing_says_where_are_refused() -> None:
    data = stream(pl.DataFrame([ROW] * 9))
    node = struct.pack("<qq", 9, 0)
    assert data.count(node) == len(ROW)

    with pytest.raises(Damaged, match="has nulls, and does not say where"):
        read(data.replace(node, struct.pack("<qq", 9, 1), 1))


def test_a_stream_without_the_mark_of_its_end_is_told_that(caller: Caller) -> None:
    frame = pl.DataFrame([ROW])
    data = batches(frame, frame)
    first, second = len(stream(frame)) - len(END), len(data) - len(END)

    for cut in (first, second):
        reply = ask(caller, data[:cut])
        assert (reply.status, reply.json["error"], reply.json["hint"]) == (
            400,
            "the body is not an Arrow stream: it is cut off: the mark of its end, FFFFFFFF 00000000, is missing",
            HINT,
        )
    for cut in (first + 6, first + 20, second - 1):
        assert "it is cut off" in ask(caller, data[:cut]).json["error"]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (stream(pl.DataFrame([ROW])) * 2, f"{len(stream(pl.DataFrame([ROW])))} bytes stand behind the mark of its end"),
        (END, "it does not begin with a schema"),
        (b"ARROW1\0\0", "it does not begin with FFFFFFFF and the length of a schema"),
        (struct.pack("<ii", -1, 2**31 - 1), "it is cut off within a message, or a length in it is wrong"),
    ],
)  # fmt: skip
def test_what_is_no_stream_is_explained(data: bytes, reason: str, caller: Caller) -> None:
    reply = ask(caller, data)

    assert reply.status == 400
    assert reply.json["error"] == f"the body is not an Arrow stream: {reason}"


def test_a_column_that_stands_twice_is_named(caller: Caller) -> None:
    data = stream(pl.DataFrame([ROW | {"winD": 1.0}])).replace(b"winD", b"wind")

    reply = ask(caller, data)

    assert reply.status == 422
    assert reply.json["violations"] == [
        {"field": "wind", "path": "$.wind", "expected": "each name once", "got": "2 columns"}
    ]


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pl.Series([b"AA"]), "large_binary"),
        (pl.Series([["AA"]]), "large_list"),
        (pl.Series([{"a": "AA"}]), "struct"),
        (pl.Series([timedelta(1)]), "duration"),
    ],
)
def test_a_column_of_a_type_that_no_row_has_is_refused_by_that_type(
    column: pl.Series, kind: str, caller: Caller
) -> None:
    frame = pl.DataFrame([ROW]).with_columns(column.alias("carrier"), column.alias("gate"))

    reply = ask(caller, stream(frame))

    got = f"a column of Arrow's type {kind}"
    assert reply.status == 422
    assert reply.json["violations"] == [
        {"field": "carrier", "path": "$.carrier", "expected": 'one of "AA", "B6", "UA"', "got": got},
        {"field": "gate", "path": "$.gate", "expected": "no such field", "got": got},
    ]  # fmt: skip


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("number", [2**62, -(2**62), 2**63 - 1, -(2**63)])
def test_a_moment_of_no_year_is_no_moment(number: int, unit: str) -> None:
    pa = pytest.importorskip("pyarrow")
    written = io.BytesIO()
    table = pa.table({"at": pa.array([number, 0, None], pa.timestamp(unit))})
    with pa.ipc.new_stream(written, table.schema) as writer:
        writer.write_table(table)

    far, near, none = read(written.getvalue())["at"]

    assert (near, none) == ("1970-01-01T00:00:00.000000Z", None)
    if unit == "ns":  # 64 bits of them are the years 1677 to 2262
        assert datetime.fromisoformat(far).year in (1677, 1823, 2116, 2262)
    else:
        assert str(far) == f"timestamp[{unit}] {number}"


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_what_compression_saves_counts(codec: Codec, caller: Caller) -> None:
    bomb = stream(pl.DataFrame([ROW] * 20).with_columns(dest=pl.lit("x" * 600_000)), codec)

    reply = ask(caller, bomb)

    assert len(bomb) < MAX_BYTES // 20
    assert (reply.status, reply.json["error"], reply.json["hint"]) == (
        413,
        "the stream holds more than 10 MB, uncompressed and written out",
        "what compression and dictionaries save counts too",
    )


def test_what_dictionaries_and_views_save_counts(caller: Caller) -> None:
    frame = pl.DataFrame([ROW] * 1000).with_columns(dest=pl.lit("x" * 100_000))
    listed = stream(frame.with_columns(pl.col("dest").cast(pl.Categorical)))
    viewed = stream(frame.head(20).with_columns(dest=pl.lit("x" * 600_000)), views=True)

    assert len(listed) < MAX_BYTES // 10
    assert ask(caller, listed).status == 413
    assert len(viewed) < MAX_BYTES // 10
    assert ask(caller, viewed).status == 413


def test_one_value_a_row_of_a_large_dictionary_is_answered(caller: Caller) -> None:
    frame = pl.DataFrame([ROW | {"dest": f"{i:06d}"} for i in range(1000)])
    frame = frame.with_columns(pl.col("dest").cast(pl.Categorical))

    assert ask(caller, stream(frame, "zstd")).status == 200


def test_a_size_that_no_machine_has_is_refused_before_it_is_asked_for(caller: Caller) -> None:
    """Whoever took it at its word asked for 72 petabytes, and ended the process."""
    data = stream(pl.DataFrame([ROW] * 2), "zstd")
    frames_of_zstd = [i for i in range(len(data)) if data[i : i + 4] == b"\x28\xb5\x2f\xfd"]
    sizes = [i - 8 for i in frames_of_zstd]
    assert sizes

    for size, status in ((2**56 + 1, 413), (-2, 400), (2**63 - 1, 413), (7, 400), (0, 400)):
        for place in sizes:
            bad = data[:place] + struct.pack("<q", size) + data[place + 8 :]
            assert ask(caller, bad).status == status


def test_thousands_of_mutations_are_read_or_refused_without_growth() -> None:
    dice, process = random.Random(0), psutil.Process()
    for data in GOOD:
        assert read(data)
    before, refused = process.memory_info().rss, 0

    for _ in range(3000):
        try:
            read(mutated(dice))
        except (Damaged, RequestRefused):
            refused += 1

    assert 2000 < refused < 2990  # the others are streams still
    assert process.memory_info().rss - before < 30 * 2**20


def test_what_many_point_at_is_not_read_again_for_each() -> None:
    """A schema of thousands of columns whose names are one text of a megabyte."""
    whole = read_messages(stream(pl.DataFrame([ROW])))
    assert [column.name for column in whole.columns] == list(ROW)
    long = "x" * 1_000_000
    fields = _schema_pointing_at(long, 9000)

    with pytest.raises(Damaged, match="its names are longer than all of its schema"):
        read_messages(fields)
    with pytest.raises(
        RequestRefused, match="the stream has 10001 columns, at most 10000 are read"
    ):
        read_messages(_schema_pointing_at("x", 10_001))


def _schema_pointing_at(name: str, n: int) -> bytes:
    """The stream of a schema, each of whose columns is the same one."""
    pieces = {
        "root": struct.pack("<I", 16),
        "message's slots": struct.pack("<HHHHH2x", 10, 12, 4, 6, 8),
        "message": struct.pack("<ihBxI", 12, 4, 1, 8 + 4),
    }
    head = b"".join(pieces.values())
    # the schema: endianness is left out, fields are slot 1
    schema_slots = struct.pack("<HHHH", 8, 8, 0, 4)
    schema = struct.pack("<iI", 8, 4)
    place = len(head) + len(schema_slots)
    vector = struct.pack("<I", n)
    start = place + len(schema) + len(vector)
    field_slots = struct.pack("<HHH2x", 6, 8, 4)
    field = start + 4 * n + len(field_slots)
    places = b"".join(struct.pack("<I", field - (start + 4 * i)) for i in range(n))
    text = struct.pack("<I", len(name)) + name.encode()
    body = head + schema_slots + schema + vector + places + field_slots
    body += struct.pack("<iI", 8, 4) + text
    return struct.pack("<ii", -1, len(body)) + body + END
