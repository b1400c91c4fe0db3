"""The prediction log: what was answered, and what turned out to be true.

Serving processes append lines to segments (see `segments`); one collector at a time, who
holds a lock, drains them into a growing table of Parquet files. The transaction that adds
the rows also notes how far each segment was read, so that a collector killed anywhere
counts every line exactly once. Labels are a second table, appended batch by batch.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from cd4ml.errors import Conflict, NotFound, Unavailable
from cd4ml.records.prediction import Prediction
from cd4ml.store import answer_counts, shipped
from cd4ml.store.growing_table import DAY, GrowingTable
from cd4ml.store.lines import TIME_DIGITS, Line, id_time, inputs, read_lines
from cd4ml.store.seen import beside
from cd4ml.store.seen import is_missed as is_missed_at
from cd4ml.store.segment_files import erase, remove_if_abandoned, segments_in
from cd4ml.store.segment_pieces import Piece, batches

if TYPE_CHECKING:
    import polars as pl

    from cd4ml.records.contract import Contract
    from cd4ml.store.blobs import Blobs
    from cd4ml.store.clock import Clock
    from cd4ml.store.database import Database

_log = logging.getLogger(__name__)


class SetAside(NamedTuple):
    """Lines of a segment that are not predictions, kept in a file of their own."""

    path: Path
    n_lines: int


class PredictionLog:
    """Predictions and labels of a project.

    The rows lie in the blob store, `segments` is always a local folder: the serving
    processes of this machine write there.
    """

    def __init__(
        self, database: Database, blobs: Blobs, segments: Path, *, clock: Clock | None = None
    ) -> None:
        self.database = database
        self._clock = clock
        self._blobs = blobs
        self.segments = segments
        self._is_missed = False

    def collect(self) -> int:
        """Drain the segments into the table; returns the number of new rows.

        Every complete line is counted exactly once, in one commit (several only after
        more than 256 MB), and so is each answer in the hourly counts (`answer_counts`). A line that is not a prediction is set aside, see `set_aside`.
        Drained segments whose writer is gone are removed.

        Raises:
            Conflict: If another collector was at work at the same time; nothing is
                counted twice, repeat.
        """
        self._say_if_missed()
        seen = self._predictions.marks()
        drained = {path: seen.get(path.name, 0) for path in segments_in(self.segments)}
        n_rows = 0
        for pieces in batches(dict(drained)):
            rows = self._frame(self._read(pieces))
            marks = {piece.segment.name: piece.end for piece in pieces}
            count = partial(answer_counts.add, counts=answer_counts.counted(rows))
            self._predictions.append(rows, marks, seen=seen, beside=count)
            drained |= {piece.segment: piece.end for piece in pieces}
            n_rows += rows.height
        for segment, offset in drained.items():
            remove_if_abandoned(segment, offset)
        n_rows += self._collect_shipped()
        self._publish(self._predictions)
        return n_rows

    def _say_if_missed(self) -> None:
        is_missed = is_missed_at(self.segments, seen=beside(self.segments))
        if is_missed and not self._is_missed:  # once, not with every look
            words = "%s is gone: what endpoints answered there is not collected until it is back"
            _log.warning(words, self.segments)
        self._is_missed = is_missed

    def _publish(self, table: GrowingTable) -> None:
        try:
            table.publish()
        except (Conflict, Unavailable) as error:  # the rows are safe; the next collector goes on
            _log.warning("other engines do not see all of %s yet: %s", table.name, error)

    def _collect_shipped(self) -> int:
        """Drain what was sent to the blob store, from whichever machine."""
        store, n_rows = self._blobs.below(shipped.FOLDER), 0
        while True:
            seen = self._predictions.marks()
            fresh, drained = shipped.waiting(store, seen)
            for each in drained:
                store.remove(each.name)
            if not fresh:
                return n_rows
            rows = self._frame(self._lines((_aside(each), _read_of(store, each)) for each in fresh))
            taken = shipped.taken(fresh, seen)
            count = partial(answer_counts.add, counts=answer_counts.counted(rows))
            self._predictions.append(
                rows, taken.marks, seen=seen, replaced=taken.replaced, beside=count
            )
            n_rows += rows.height

    def predictions(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        environment: str | None = None,
        plan: int | None = None,
    ) -> pl.LazyFrame:
        """Collected predictions answered from `start` (included) to `end` (excluded).

        Days outside are not read.

        Returns:
            The columns of `records.Prediction` in no particular order of rows; one row per
            answer, so two with one id where a shadow answered too. `inputs` is JSON text:
            see `inputs`.
        """
        import polars as pl

        first, last = _day(start) if start else None, _day(end) if end else None
        rows = self._predictions.scan(first, last, environment)
        if start is not None:
            rows = rows.filter(pl.col("answered_at") >= start)
        if end is not None:
            rows = rows.filter(pl.col("answered_at") < end)
        if plan is not None:
            rows = rows.filter(pl.col("plan") == plan)
        return rows.select(Prediction.__struct_fields__)

    def prediction(self, prediction_id: str) -> list[Prediction]:
        """The rows of one prediction, champion or canary first; none if not collected.

        Reads only the file, rarely two, that may have it: by the days around the time that is
        written in the id, and by the first and last id of each file.

        Raises:
            InvalidInput: If this is not the form of a prediction id.
        """
        import polars as pl

        made_at = id_time(prediction_id)
        # a request made just before midnight may be answered past it
        nearby = self._predictions.scan(
            _day(made_at), _day(made_at + timedelta(days=1)), key=prediction_id
        )
        rows = nearby.filter(pl.col("prediction_id") == prediction_id).collect()
        found = [_prediction(row) for row in rows.iter_rows(named=True)]
        return sorted(found, key=lambda prediction: prediction.role == "shadow")

    def add_labels(self, labels: pl.DataFrame, batch: str) -> int:
        """Append a batch of labels; returns how many, 0 if this batch is there already.

        Args:
            labels: `prediction_id`, `value`, `labelled_at`, `arrived_at` (aware),
                `labelled_by`; one row per label.
            batch: Names the batch, the same batch always by the same name: its address.

        Raises:
            Conflict: If the same batch is being added by another process; repeat.
        """
        if batch in self._labels.marks():
            return 0
        rows = _with_day_of_id(labels).cast(self._labels.schema)  # type: ignore[arg-type]
        self._labels.append(rows.select(self._labels.schema.keys()), {batch: 1}, seen={})
        self._publish(self._labels)
        return labels.height

    def labels(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        known_at: datetime | None = None,
    ) -> pl.LazyFrame:
        """The label that counts for each prediction: the one with the latest `labelled_at`.

        Args:
            start: Leaves out days on which no prediction after this time was made.
            end: Leaves out days on which no prediction before this time was made.
            known_at: Only what had arrived by then counts.

        Returns:
            `prediction_id`, `value`, `labelled_at`, `arrived_at`, `labelled_by`; one row
            per labelled prediction. Of two labels from one moment the later arrival counts.
        """
        import polars as pl

        # an answer just after midnight may belong to the day before
        first = _day(start - timedelta(days=1)) if start else None
        rows = self._labels.scan(first, _day(end) if end else None)
        if known_at is not None:
            rows = rows.filter(pl.col("arrived_at") <= known_at)
        latest_last = rows.sort("labelled_at", "arrived_at", "value")
        return latest_last.unique("prediction_id", keep="last")

    def label(self, prediction_id: str) -> dict[str, Any] | None:
        """The label of one prediction that counts; None while there is none.

        Reads only the files that may have it.

        Raises:
            InvalidInput: If this is not the form of a prediction id.
        """
        import polars as pl

        day = _day(id_time(prediction_id))
        same = pl.col("prediction_id") == prediction_id
        found = self._labels.scan(day, day, key=prediction_id).filter(same)
        latest_last = found.collect().sort("labelled_at", "arrived_at", "value")
        return latest_last.row(-1, named=True) if latest_last.height else None

    def label_delays(self, start: datetime, end: datetime) -> pl.DataFrame:
        """How long the truth took for predictions asked for from `start` to `end` (excluded).

        Corrections do not count: the truth was known when the first label arrived.

        Returns:
            `asked_at` (UTC, as the prediction's id says) and `hours`; one row per labelled
            prediction.
        """
        import polars as pl

        asked = _asked_at().alias("asked_at")
        rows = self._labels.scan(_day(start), _day(end)).with_columns(asked)
        within = rows.filter(pl.col("asked_at") >= start, pl.col("asked_at") < end)
        first = within.group_by("prediction_id", "asked_at").agg(pl.col("arrived_at").min())
        waited = (pl.col("arrived_at") - pl.col("asked_at")).dt.total_microseconds() / 3.6e9
        return first.select("asked_at", hours=waited).sort("asked_at").collect()

    def inputs(self, predictions: pl.DataFrame, contract: Contract) -> pl.DataFrame:
        """The requests behind some predictions in typed columns, see `lines.inputs`."""
        return inputs(predictions, contract)

    @property
    def tables(self) -> tuple[GrowingTable, GrowingTable]:
        """The predictions and the labels, for who removes some of them."""
        return self._predictions, self._labels

    def erase_drained(self) -> None:
        """Overwrite what was drained in the segments that are still written to."""
        for name, end in self._predictions.marks().items():
            erase(self.segments / name, end)

    def set_aside(self) -> list[SetAside]:
        """Files with lines that could not be read as predictions, for somebody to look at."""
        files = sorted(self._aside.glob("*.lines"))
        return [SetAside(path, path.read_bytes().count(b"\n")) for path in files]

    @property
    def _aside(self) -> Path:
        return self.segments / "set_aside"

    @cached_property
    def _predictions(self) -> GrowingTable:
        import polars as pl

        text, whole = pl.String(), pl.Int64()
        schema: dict[str, pl.DataType] = {
            "prediction_id": text,
            "answered_at": pl.Datetime("us", "UTC"),
            "environment": text,
            "plan": whole,
            "role": text,
            "model": text,
            "number": whole,
            "artifact": text,
            "score": pl.Float64(),
            "inputs": text,
            "key": text,
            DAY: pl.Date(),
        }
        return self._table("predictions", schema)

    @cached_property
    def _labels(self) -> GrowingTable:
        import polars as pl

        schema: dict[str, pl.DataType] = {
            "prediction_id": pl.String(),
            "value": pl.Float64(),
            "labelled_at": pl.Datetime("us", "UTC"),
            "arrived_at": pl.Datetime("us", "UTC"),
            "labelled_by": pl.String(),
            DAY: pl.Date(),
        }
        return self._table("labels", schema)

    def _table(self, name: str, schema: dict[str, pl.DataType]) -> GrowingTable:
        # in the order of the ids, a reader of one prediction skips most of a file
        return GrowingTable(
            name,
            schema,
            sort="prediction_id",
            database=self.database,
            blobs=self._blobs,
            clock=self._clock,
        )

    def _read(self, pieces: list[Piece]) -> list[Line]:
        return self._lines((f"{each.segment.stem}@{each.offset}", each.data) for each in pieces)

    def _lines(self, texts: Iterable[tuple[str, bytes]]) -> list[Line]:
        """The predictions in some named texts; what is none is set aside and reported.

        A collector that was killed before its commit writes the same file again.
        """
        found: list[Line] = []
        for name, data in texts:
            good, bad = read_lines(data)
            found.extend(good)
            if bad:
                self._aside.mkdir(parents=True, exist_ok=True)
                path = self._aside / f"{name}.lines"
                path.write_bytes(bad)
                n_bad = bad.count(b"\n")
                _log.warning("%d bad log lines set aside: %s", n_bad, path)
        return found

    def _frame(self, lines: list[Line]) -> pl.DataFrame:
        import polars as pl

        columns: dict[str, Any] = {
            name: [getattr(line, name) for line in lines] for name in Line.__struct_fields__
        }
        columns["inputs"] = [bytes(line.inputs).decode() for line in lines]
        moment = pl.from_epoch("answered_at", time_unit="us").dt.replace_time_zone("UTC")
        schema = {**self._predictions.schema, "answered_at": pl.Int64()}
        del schema[DAY]
        rows = pl.DataFrame(columns, schema=schema).with_columns(moment)
        return rows.with_columns(pl.col("answered_at").dt.date().alias(DAY))


def _aside(each: shipped.Shipped) -> str:
    return each.name.replace("/", "-")


def _read_of(store: Blobs, each: shipped.Shipped) -> bytes:
    try:
        return store.read(each.name)
    except NotFound:
        msg = f"another collector took the answers in {each.name} first"
        raise Conflict(msg, hint="repeat: what it took will be skipped") from None


def _prediction(row: Mapping[str, Any]) -> Prediction:
    request = msgspec.json.decode(row["inputs"])
    return Prediction(**{**row, "inputs": request})


def _with_day_of_id(labels: pl.DataFrame) -> pl.DataFrame:
    """Labels lie with the day of their prediction, so that a month's are found together."""
    return labels.with_columns(_asked_at().dt.date().alias(DAY))


def _asked_at() -> pl.Expr:
    """The time that is written in an id."""
    import polars as pl

    milliseconds = pl.col("prediction_id").str.head(TIME_DIGITS).str.to_integer(base=16)
    return pl.from_epoch(milliseconds, time_unit="ms").dt.replace_time_zone("UTC")


def _day(moment: datetime) -> date:
    return moment.astimezone(UTC).date()
