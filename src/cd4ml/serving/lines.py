"""The lines that a request's answers are in the log.

They are put together of parts: what is the same for all rows is encoded once a plan or once a
request.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from cd4ml.records.plan import Arm, Plan
from cd4ml.serving.answers import Group, Score, Version
from cd4ml.serving.request import Row
from cd4ml.store.masking import Mask

if TYPE_CHECKING:
    from cd4ml.serving.endpoint import Endpoint

_encode = msgspec.json.Encoder().encode
_ONE = b'{"prediction_id":"%b","answered_at":%d,%b,"score":%b,"inputs":%b,"key":%b'
_SEVERAL = b'{"prediction_ids":%b,"answered_at":%b,%b,"scores":%b,"inputs":%b,"key":%b'


class Asked(msgspec.Struct, frozen=True, gc=False):
    """The rows of a request with their prediction ids, when and under what they were answered."""

    endpoint: Endpoint
    ids: Sequence[str]
    at_us: int  # microseconds since 1970
    rows: Sequence[Row]
    key: str  # the caller's


def told(plan: Plan, arm: Arm) -> bytes:
    """What every line of a version's answers says, members of a JSON object."""
    content = {
        "environment": plan.environment,
        "plan": plan.number,
        "role": arm.role,
        "model": arm.model,
        "number": arm.number,
        "artifact": arm.artifact,
    }
    return _encode(content)[1:-1]


def said(plan: Plan, arm: Arm) -> bytes:
    """What every prediction of a version says in a response, members of a JSON object."""
    content = {
        "model": arm.model,
        "number": arm.number,
        "artifact": arm.artifact,
        "plan": plan.number,
    }
    return _encode(content)[1:-1]


def lines_of(asked: Asked, group: Group, mask: Mask) -> list[bytes]:
    """The segment line of what one version answered, with its checksum (`lines.seal`).

    Several rows are one line: the checksum, what the version says of itself and the way into the
    file cost once a line. None if there are no rows.
    """
    version, numbers, scores = group.version, group.rows, group.scores
    ids, rows = asked.ids, asked.rows
    if numbers is not None:
        ids, rows = [ids[i] for i in numbers], [rows[i] for i in numbers]
    if not ids:
        return []
    if not mask.is_empty:
        rows = [mask.inputs(row) for row in rows]
    key = mask.key(asked.key)
    if len(ids) == 1:
        score, row, name = _encode(scores[0]), _encode(rows[0]), ids[0].encode()
        end = _encode(key) if key else b'""'
        return [_sealed(_ONE % (name, asked.at_us, version.told, score, row, end))]
    parts = map(_encode, (ids, asked.at_us, scores, rows, key))
    return [_sealed(_SEVERAL % _with(version.told, *parts))]


def line_of_all(
    copies: Sequence[Asked], version: Version, answered: Sequence[Score], mask: Mask
) -> list[bytes]:
    """One line of what a version answered to the rows of several requests; none if there are none.

    Args:
        copies: The requests.
        version: It answered all of their rows.
        answered: Its scores, in the order of requests and rows.
        mask: What of them is not written.
    """
    ids = [name for copy in copies for name in copy.ids]
    if not ids:
        return []
    moments = [copy.at_us for copy in copies for _ in copy.ids]
    rows = [mask.inputs(row) for copy in copies for row in copy.rows]
    keys: str | list[str] = ""
    if any(copy.key for copy in copies):
        keys = [mask.key(copy.key) for copy in copies for _ in copy.ids]
    parts = map(_encode, (ids, moments, answered, rows, keys))
    return [_sealed(_SEVERAL % _with(version.told, *parts))]


def _with(told: bytes, ids: bytes, moments: bytes, *others: bytes) -> tuple[bytes, ...]:
    return ids, moments, told, *others


def _sealed(body: bytes) -> bytes:
    return b'%b,"crc":"%08x"}' % (body, zlib.crc32(body))
