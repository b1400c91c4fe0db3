"""Builders of what production leaves behind: answered requests and their labels."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.store.blobs import open_blobs
from cd4ml.store.database import open_database
from cd4ml.store.lines import seal
from cd4ml.store.log import PredictionLog
from cd4ml.store.segments import Segment

START = datetime(2013, 2, 1, tzinfo=UTC)
ARTIFACT = "blake3:" + "a" * 64


def log_in(folder: Path) -> PredictionLog:
    """A log whose database, blobs and segments lie in a folder."""
    database = open_database(f"sqlite:///{folder / 'log.db'}")
    return PredictionLog(database, open_blobs(str(folder / "blobs")), folder / "segments")


def moment(hours: float = 0.0) -> datetime:
    """That many hours after the first of February."""
    return START + timedelta(hours=hours)


def prediction_id(sequence: int, at: datetime = START) -> str:
    """The id of the `sequence`-th prediction of plan 1."""
    milliseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
    return f"{milliseconds:012x}{1:06x}{0:06x}{sequence:08x}"


def answer(sequence: int, at: datetime = START, **changes: Any) -> dict[str, Any]:
    """One answer of the champion, as a row of the log (see `records.Prediction`)."""
    row = {
        "prediction_id": prediction_id(sequence, at),
        "answered_at": at,
        "environment": "production",
        "plan": 1,
        "role": "champion",
        "model": "delay",
        "number": 1,
        "artifact": ARTIFACT,
        "score": 0.5,
        "inputs": {"carrier": "HA", "distance": 4983},
        "key": "",
    }
    return {**row, **changes}


def line(row: Mapping[str, Any]) -> bytes:
    """The segment line of an answer."""
    since_1970 = row["answered_at"] - datetime(1970, 1, 1, tzinfo=UTC)
    microseconds = since_1970 // timedelta(microseconds=1)
    return seal(msgspec.json.encode({**row, "answered_at": microseconds}))


def append(segments: Path, *rows: Mapping[str, Any], worker: str = "worker") -> None:
    """Answer with these rows in a process that then ends."""
    segment = Segment(segments, worker)
    for row in rows:
        segment.append(line(row))
    segment.close()


def collected(log: PredictionLog, *rows: Mapping[str, Any]) -> PredictionLog:
    """The log after these rows were answered and collected."""
    append(log.segments, *rows)
    log.collect()
    return log
