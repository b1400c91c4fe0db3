"""The graph of what was made from what."""

from __future__ import annotations

from datetime import datetime

import msgspec


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A thing in the graph: an address, its kind, and the name people know it by.

    The address is a content address, or a ref ("run/3") for things that are
    events rather than contents.
    """

    address: str
    # dataset version, run, step output, model, model version, verdict, release, plan, approval,
    # window, alert, trigger, job, labels
    kind: str
    name: str
    seen_at: datetime


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """`child` was made from, or decided by, `parent`."""

    child: str
    parent: str
    # input, output, packaged from, model, judged, trained by, judged by, approved by,
    # released as, served by, answered by, answered under, raised from, fired by, asked by
    role: str


class ColumnEdge(msgspec.Struct, frozen=True, kw_only=True):
    """A column of `child` was made from a column of `parent`, as a step declares it.

    A column that was made from none stands there with `parent` and `source` "".
    """

    child: str
    column: str
    parent: str
    source: str
