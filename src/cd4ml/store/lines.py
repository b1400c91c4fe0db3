"""The JSON texts of the log: a segment's line of one answer or several, and the requests in it."""

from __future__ import annotations

import re
import zlib
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import msgspec

from cd4ml.errors import InvalidInput
from cd4ml.records.contract import Contract, FieldType
from cd4ml.records.plan import Role

if TYPE_CHECKING:
    import polars as pl

_ID = "^[0-9a-f]{32}$"
TIME_DIGITS = 12  # of a prediction id
_LAST_MICROSECOND = 253_402_300_799_999_999  # the end of the year 9999
_MOST_SHOWN = 3


_Id = Annotated[str, msgspec.Meta(pattern=_ID)]
_Moment = Annotated[int, msgspec.Meta(ge=0, le=_LAST_MICROSECOND)]


class Line(msgspec.Struct, frozen=True, gc=False):
    """An answer in a segment's line: a `records.Prediction` as a serving process writes it.

    `answered_at` is in microseconds since 1970 (UTC); `inputs` is the request as it came,
    a JSON object that only readers decode.
    """

    prediction_id: _Id
    answered_at: _Moment
    environment: str
    plan: int
    role: Role
    model: str
    number: int
    artifact: str
    score: float | None
    inputs: msgspec.Raw
    key: str = ""


class _Together(msgspec.Struct, frozen=True, gc=False):
    """A segment's line of several answers that one version gave: a `Line` by column.

    One moment and one key count for all of them, a list has one for each.
    """

    prediction_ids: list[_Id]
    answered_at: _Moment | list[_Moment]
    environment: str
    plan: int
    role: Role
    model: str
    number: int
    artifact: str
    scores: list[float | None]
    inputs: list[msgspec.Raw]
    key: str | list[str] = ""


class Lines(NamedTuple):
    """Answers that were read, and lines that are damaged or no predictions (with line breaks)."""

    good: list[Line]
    bad: bytes


_ONE = msgspec.json.Decoder(Line)
_SEVERAL = msgspec.json.Decoder(_Together)
_SEAL = b',"crc":"%08x"}'
_SEAL_BYTES = len(_SEAL % 0)


def seal(line: bytes) -> bytes:
    """A JSON object of at least one member, with a checksum of its own bytes as the last one.

    CRC-32 finds what a power cut leaves of a line: zeros, old blocks, half of it.

    Examples:
        >>> seal(b'{"score":0.5}')
        b'{"score":0.5,"crc":"ff20f7bb"}'
    """
    body = line[:-1]
    return body + _SEAL % zlib.crc32(body)


def is_sealed(line: bytes) -> bool:
    """Whether a line is, byte for byte, what `seal` gave.

    Examples:
        >>> line = seal(b'{"score":0.5}')
        >>> is_sealed(line), is_sealed(line.replace(b"5", b"6", 1))
        (True, False)
    """
    return line[-_SEAL_BYTES:] == _SEAL % zlib.crc32(line[:-_SEAL_BYTES])


def read_lines(data: bytes) -> Lines:
    r"""Read complete lines; a line that does not fit is handed back, never an error.

    Examples:
        >>> read_lines(b"not JSON\n").bad
        b'not JSON\n'
    """
    texts = data.removesuffix(b"\n").split(b"\n") if data else []
    good: list[Line] = []
    bad: list[bytes] = []
    for text in texts:
        found = _read(text) if is_sealed(text) else []
        if found:
            good += found
        else:
            bad.append(text)
    return Lines(good, b"".join(text + b"\n" for text in bad))


def _read(text: bytes) -> list[Line]:
    """The answers in a line; none if it is no prediction."""
    try:
        if text.startswith(b'{"prediction_ids"'):
            found = _apart(_SEVERAL.decode(text))
        else:
            found = [_ONE.decode(text)]
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        return []
    return found if all(bytes(line.inputs)[:1] == b"{" for line in found) else []


def _apart(line: _Together) -> list[Line]:
    n, moments, keys = len(line.prediction_ids), line.answered_at, line.key
    columns = (
        line.prediction_ids,
        [moments] * n if isinstance(moments, int) else moments,
        line.scores,
        line.inputs,
        [keys] * n if isinstance(keys, str) else keys,
    )
    version = (line.environment, line.plan, line.role, line.model, line.number, line.artifact)
    return [
        Line(name, at, *version, score, inputs, key)
        for name, at, score, inputs, key in zip(*columns, strict=True)
    ]


def inputs(predictions: pl.DataFrame, contract: Contract) -> pl.DataFrame:
    """The requests behind some predictions, as columns of the contract's types.

    Args:
        predictions: With `prediction_id` and `inputs` (JSON text); one row per answer.
        contract: Names and types of the fields. A field that a request lacks is null, one
            that the contract does not know is left out.

    Returns:
        One column a field (times in UTC; a time without a zone is taken as UTC), one row
        per row of `predictions`, in their order.

    Raises:
        InvalidInput: If a request holds a value of another type than the contract's field;
            the message names the first such predictions.
    """
    import polars as pl
    from polars.exceptions import ComputeError

    decode = pl.col("inputs").str.json_decode(_row_type(contract)).struct.unnest()
    try:
        requests = predictions.select(decode)
    except ComputeError as error:
        raise _misfits(predictions, contract) from error
    times = [field.name for field in contract.fields if field.type == "datetime"]
    typed = requests.with_columns(_time(name) for name in times)
    if any(typed[name].null_count() > requests[name].null_count() for name in times):
        raise _misfits(predictions, contract)
    return typed


def id_time(prediction_id: str) -> datetime:
    """When a prediction was made, as its id says.

    The form of an id is settled in `models.prediction_id`; the log relies only on its
    first twelve hex digits being milliseconds since 1970.

    Raises:
        InvalidInput: If this is not the form of a prediction id.

    Examples:
        >>> id_time("013bf368580000000100000200000003").isoformat()
        '2013-01-01T00:00:00+00:00'
    """
    try:
        if re.fullmatch(_ID, prediction_id) is None:
            raise ValueError
        since_1970 = timedelta(milliseconds=int(prediction_id[:TIME_DIGITS], 16))
        return datetime(1970, 1, 1, tzinfo=UTC) + since_1970
    except (ValueError, OverflowError) as error:
        msg = f"{prediction_id!r} is not a prediction id"
        raise InvalidInput(msg, hint="it has 32 hex digits, of which 12 tell the time") from error


def _row_type(contract: Contract) -> pl.Struct:
    import polars as pl

    types: dict[FieldType, Any] = {
        "integer": pl.Int64,
        "number": pl.Float64,
        "boolean": pl.Boolean,
        "string": pl.String,
        "datetime": pl.String,
    }
    return pl.Struct({field.name: types[field.type] for field in contract.fields})


def _time(name: str) -> pl.Expr:
    import polars as pl

    text = pl.col(name).str
    with_zone = text.to_datetime("%+", time_unit="us", time_zone="UTC", strict=False)
    without = text.to_datetime("%Y-%m-%dT%H:%M:%S%.f", time_unit="us", strict=False)
    return pl.coalesce(with_zone, without.dt.replace_time_zone("UTC")).alias(name)


def _misfits(predictions: pl.DataFrame, contract: Contract) -> InvalidInput:
    """Find the requests that a whole column stumbled over, one by one."""
    python: dict[FieldType, Any] = {
        "integer": int,
        "number": float,
        "boolean": bool,
        "string": str,
        "datetime": datetime,
    }
    kinds: list[tuple[str, Any, Any]] = [  # a field's name need not be one of Python's
        (f"f{i}", python[field.type] | None, msgspec.field(default=None, name=field.name))
        for i, field in enumerate(contract.fields)
    ]
    decoder = msgspec.json.Decoder(msgspec.defstruct("Request", kinds))
    reasons = []
    for prediction_id, text in predictions.select("prediction_id", "inputs").iter_rows():
        try:
            decoder.decode(text)
        except msgspec.MsgspecError as error:
            reasons.append(f"  - {prediction_id}: {error}")
    count = f"{len(reasons)} of {predictions.height} requests"
    head = f"{count} do not fit contract {contract.name} {contract.version}"
    return InvalidInput(
        "\n".join([head, *reasons[:_MOST_SHOWN]]),
        hint="read them with the contract of the version that answered",
    )
