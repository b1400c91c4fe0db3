"""The lines that a request's answers are in the log.

They are put together of parts: what is the same for all rows is encoded once, ids and scores
of all rows at once.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from cd4ml.records.plan import Arm, Plan
from cd4ml.serving.answers import Group
from cd4ml.serving.request import Row
from cd4ml.store.masking import Mask

if TYPE_CHECKING:
    from cd4ml.serving.endpoint import Endpoint

_encode = msgspec.json.Encoder().encode


class Asked(NamedTuple):
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


def lines_of(asked: Asked, group: Group, mask: Mask) -> list[bytes]:
    """The segment lines of what one version answered, each with its checksum (`lines.seal`)."""
    version, numbers, scores = group
    ids, rows = asked.ids, asked.rows
    if numbers is not None:
        ids, rows = [ids[i] for i in numbers], [rows[i] for i in numbers]
    if not mask.is_empty:
        rows = [mask.inputs(row) for row in rows]
    if not ids:
        return []
    key = mask.key(asked.key)
    middle = b'","answered_at":%d,%b,"score":' % (asked.at_us, version.told)
    end = b',"key":%b' % (_encode(key) if key else b'""')
    if len(ids) == 1:
        parts = ids[0].encode(), middle, _encode(scores[0]), _encode(rows[0]), end
        body = b'{"prediction_id":"%b%b%b,"inputs":%b%b' % parts
        return [b'%b,"crc":"%08x"}' % (body, zlib.crc32(body))]
    bodies = [
        b'{"prediction_id":"%b%b%b,"inputs":%b%b' % (name, middle, score, row, end)
        for name, score, row in zip(
            _encode(ids)[2:-2].split(b'","'),  # hexadecimal digits
            _encode(scores)[1:-1].split(b","),
            map(_encode, rows),
            strict=True,
        )
    ]
    sums = map(zlib.crc32, bodies)
    return [b'%b,"crc":"%08x"}' % pair for pair in zip(bodies, sums, strict=True)]
