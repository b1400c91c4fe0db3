"""What is retraining worth? A year of flights, the loop beside the January model left alone.

Plays `examples/flights` without servers: its own steps, world and gates. At each month's
end a candidate learns from all that is known by then, is judged on the last ten days
against the champion, and serves the next month if it passes.

Run:
    OMP_NUM_THREADS=1 python benchmarks/flights_year.py
    OMP_NUM_THREADS=1 python benchmarks/flights_year.py --months 4 --set max_leaf_nodes=7
    OMP_NUM_THREADS=1 python benchmarks/flights_year.py --choices   (a year for each, minutes)

Prints one row a month, and what the loop is worth from its first retraining on. With
`--choices` the same for other ways to make the model.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from cd4ml.gates.evidence import evidence_of
from cd4ml.gates.judge import judge
from cd4ml.measures.divergence import stability_index
from cd4ml.measures.estimate import Estimate
from cd4ml.measures.histogram import edges, histogram
from cd4ml.measures.ranking import auc, auc_difference
from cd4ml.measures.scoring import brier, brier_difference, squared_errors
from cd4ml.models.estimator import score_frame
from cd4ml.models.native import NativeScorer
from cd4ml.models.onnx import CompiledScorer, compile_estimator
from cd4ml.models.parity import compare, probes
from cd4ml.pipeline.module import imported
from cd4ml.records.finding import Outcome, worst
from cd4ml.records.settings import Settings
from cd4ml.store.project import FILE, read_settings

EXAMPLE = Path(__file__).parents[1] / "examples" / "flights"
PARITY_ROWS = 20_000

Row = dict[str, Any]
Remake = Callable[[Any, pl.DataFrame], Any]  # (fitted model, training rows) -> another model


class Version(NamedTuple):
    """A trained candidate with what is known about it at release."""

    number: int
    model: Any
    training: pl.DataFrame
    holdout: pl.DataFrame
    fit_s: float  # of processor time

    @property
    def base_rate(self) -> float:
        """Share of late flights it has learned from: all that a trivial model knows."""
        return float(truth(self.training).mean())

    def score(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """Its answer to each row."""
        return score_frame(self.model, rows)

    def trivial(self, rows: pl.DataFrame) -> NDArray[np.float64]:
        """The trivial model's answer to each row."""
        return np.full(rows.height, self.base_rate)

    def gain(self, rows: pl.DataFrame) -> Estimate:
        """How much lower its Brier score is than the trivial model's."""
        return brier_difference(truth(rows), self.trivial(rows), self.score(rows))


class Example(NamedTuple):
    """The example's modules and policy, and what is known when production begins."""

    pipeline: Any
    world: Any
    contract: Any
    settings: Settings
    january: pl.DataFrame


class Variant(NamedTuple):
    """A way to make the model: the example's own, or another one."""

    name: str = "as it is"
    parameters: tuple[tuple[str, float], ...] = ()  # of the step `delay`
    history_days: int = 0  # only the newest rows; 0: all
    remake: Remake | None = None


class Year(NamedTuple):
    """What happened, month by month."""

    candidates: list[Row]
    months: list[Row]
    watch: list[Row]
    first: Version


def truth(rows: pl.DataFrame) -> NDArray[np.float64]:
    """Whether each flight was late, as 0 and 1."""
    return rows["late"].cast(pl.Float64).to_numpy()


def play(example: Example, variant: Variant, count: int) -> Year:
    """Live through some months of production."""
    year = Year([], [], [], _train(example, variant, example.january, 1))
    champion = year.first
    for number, (start, end) in enumerate(_months(example.world.BEGIN, count), start=1):
        candidate = year.first
        verdict = _verdict(example.settings, candidate, None)
        if number > 1:
            since = _labelled(example.world, example.world.BEGIN, start)
            rows = example.pipeline.examples(example.january, since)
            candidate = _train(example, variant, rows, number)
            verdict = _verdict(example.settings, candidate, champion)
        year.candidates.append(_candidate_row(candidate, champion, verdict))
        champion = candidate if verdict == "pass" else champion
        traffic = _labelled(example.world, start, end)
        year.months.append(_month_row(start, traffic, champion, year.first))
        year.watch.append(_watch_row(start, traffic, champion))
    return year


def _months(begin: datetime, count: int) -> Iterator[tuple[datetime, datetime]]:
    starts = [
        begin.replace(year=begin.year + month // 12, month=month % 12 + 1)
        for month in range(begin.month - 1, begin.month + count)
    ]
    return pairwise(starts)


def _january(pipeline: Any, world: Any, **parameters: str) -> pl.DataFrame:
    """The journeys that are known when production begins."""
    with tempfile.TemporaryDirectory() as scratch:
        world.lay_out(Path(scratch))
        data = Path(scratch) / "data"
        names = ("flights", "weather.parquet", "planes.parquet")
        rows: pl.DataFrame = pipeline.journeys(
            *(pl.read_parquet(data / name) for name in names), **parameters
        )
    return rows


def _labelled(world: Any, start: datetime, end: datetime) -> pl.DataFrame:
    """What production has shown between two moments, as the curated dataset has it."""
    asked: pl.DataFrame = world.requests(start, end).drop_nulls("label")
    return asked.rename({"label": "late"}).drop("key", "label_at")


def _train(example: Example, variant: Variant, rows: pl.DataFrame, number: int) -> Version:
    """A candidate from the rows that are known."""
    rows = example.pipeline.examples(rows, rows.head(0))
    training, holdout = example.pipeline.training(rows), example.pipeline.holdout(rows)
    if variant.history_days:
        oldest = training["event_at"].max() - timedelta(days=variant.history_days)
        training = training.filter(pl.col("event_at") > oldest)
    began = time.process_time()
    model = example.pipeline.delay(training, **dict(variant.parameters))
    if variant.remake:
        began = time.process_time()
        model = variant.remake(model, training)
    return Version(number, model, training, holdout, time.process_time() - began)


def _verdict(settings: Settings, candidate: Version, champion: Version | None) -> Outcome:
    """What the example's gates say about a candidate."""
    rows = candidate.holdout
    others = {f"delay/{champion.number}": champion.score(rows)} if champion else {}
    evidence = evidence_of(
        rows,
        target="late",
        score=candidate.score(rows),
        base_rate=candidate.base_rate,
        champion=next(iter(others), ""),
        others=others,
    )
    return worst(tuple(finding.outcome for finding in judge(settings.gate, evidence)))


def _candidate_row(candidate: Version, champion: Version, verdict: Outcome) -> Row:
    """How a candidate was judged on its holdout, beside the champion."""
    rows = candidate.holdout
    y, ours, theirs = truth(rows), candidate.score(rows), champion.score(rows)
    return {
        "until": rows.select(pl.col("event_at").max().dt.strftime("%d %b")).item(),
        "learned from": candidate.training.height,
        "auc": auc(y, ours).value,
        "champion": auc(y, theirs).value,
        "auc difference": _said(auc_difference(y, ours, theirs)),
        "brier": brier(y, ours).value,
        "champion's": brier(y, theirs).value,
        "trivial": brier(y, candidate.trivial(rows)).value,
        "verdict": verdict,
        "fit s": candidate.fit_s,
    }


def _month_row(start: datetime, traffic: pl.DataFrame, loop: Version, frozen: Version) -> Row:
    """How a month went: the version in charge beside the January model."""
    y, ours, theirs = truth(traffic), loop.score(traffic), frozen.score(traffic)
    return {
        "month": f"{start:%b}",
        "flights": traffic.height,
        "late": y.mean(),
        "version": loop.number,
        "auc loop": auc(y, ours).value,
        "auc frozen": auc(y, theirs).value,
        "brier loop": brier(y, ours).value,
        "brier frozen": brier(y, theirs).value,
        "brier trivial": brier(y, frozen.trivial(traffic)).value,
        "predicted late": ours.mean(),
    }


def _watch_row(start: datetime, traffic: pl.DataFrame, loop: Version) -> Row:
    """What monitoring could see of the version in charge: level at release, level now, drift."""
    ours = loop.holdout
    released, gained, gains = (
        auc(truth(ours), loop.score(ours)),
        loop.gain(ours),
        loop.gain(traffic),
    )
    columns = ("temp", "dewp", "pressure", "wind_speed", "hour")
    return {
        "month": f"{start:%b}",
        "auc released": _said(released),
        "auc now": _said(auc(truth(traffic), loop.score(traffic))),
        "gain released": _said(gained, digits=4),
        "then, by day": _half_width_by_day(loop, ours),
        "gain now": _said(gains, digits=4),
        "now, by day": _half_width_by_day(loop, traffic),
        "worse": "yes" if gains.high < gained.low else "no",
        **{f"psi {name}": _drift(loop.training[name], traffic[name]) for name in columns},
    }


def _half_width_by_day(version: Version, rows: pl.DataFrame) -> float:
    """Half the interval of the gain, if a day's flights share their fate (clustered by day)."""
    y = truth(rows)
    gains = squared_errors(y, version.trivial(rows)) - squared_errors(y, version.score(rows))
    days = rows["event_at"].dt.convert_time_zone("America/New_York").dt.date()
    sums = pl.DataFrame({"day": days, "off": gains - gains.mean()}).group_by("day").sum()["off"]
    return 1.96 * float(np.sqrt((sums.to_numpy() ** 2).sum())) / gains.size


def _drift(reference: pl.Series, current: pl.Series) -> float:
    before, after = (column.cast(pl.Float64).to_numpy() for column in (reference, current))
    cuts = edges(before)
    return stability_index(histogram(before, cuts), histogram(after, cuts)).value


def _said(estimate: Estimate, digits: int = 3) -> str:
    value, low, high, _n = estimate
    return f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def corrupted(example: Example) -> list[Row]:
    """Candidates of the corrupted join, judged on their own holdout and on the sound one."""
    sound = _train(example, Variant(), example.january, 1)
    rows = _january(
        example.pipeline,
        example.world,
        **{name.partition(".")[2]: value for name, value in example.world.CORRUPTED.items()},
    )
    bad = _train(example, Variant(), rows, 0)
    cases = {"its own": bad, "sound": bad._replace(holdout=sound.holdout)}
    return [
        {"holdout": name, **_candidate_row(one, sound, _verdict(example.settings, one, None))}
        for name, one in cases.items()
    ]


def random_split(example: Example) -> list[Row]:
    """What January would seem to be worth if rows were split at random, not by time."""
    by_time = _train(example, Variant(), example.january, 1)
    shuffled = example.january.sample(fraction=1.0, shuffle=True, seed=0)
    n = by_time.holdout.height
    training, holdout = shuffled.slice(n, by_time.training.height), shuffled.head(n)
    by_chance = Version(0, example.pipeline.delay(training), training, holdout, 0.0)
    return [
        {"split": name, "auc": _said(auc(truth(one.holdout), one.score(one.holdout)))}
        for name, one in {"by time": by_time, "at random": by_chance}.items()
    ]


def parity(example: Example, version: Version) -> Row:
    """Whether the compiled model answers as the original does, and how fast."""
    names = example.pipeline.REQUEST
    begin = example.world.BEGIN
    asked = example.world.requests(begin, begin.replace(month=12)).sample(PARITY_ROWS, seed=0)
    rows = list(asked.select(names).iter_rows(named=True))
    made_up = probes(example.contract, rows)
    values = [tuple(row[name] for name in names) for row in rows + made_up]
    compiled = CompiledScorer(compile_estimator(version.model, example.contract), example.contract)
    found = compare(
        np.array(NativeScorer(version.model, example.contract).score(values)),
        np.array(compiled.score(values)),
        n_probes=len(made_up),
        are_probabilities=True,
    )
    began = time.perf_counter()
    for row in values[:2000]:
        compiled.score([row])
    one_us = (time.perf_counter() - began) / 2000 * 1e6
    return {
        "rows": found.n_rows,
        "made up": found.n_probes,
        "largest difference": f"{found.max_difference:.1e}",
        "flips": found.n_flips,
        "us a row": one_us,
    }


def choices(example: Example, count: int) -> list[Row]:
    """Other ways to make the model, each through the same months."""
    from sklearn.base import clone
    from sklearn.preprocessing import OneHotEncoder

    def with_destinations(encoder: Any) -> Remake:
        def remake(model: Any, training: pl.DataFrame) -> Any:
            other = clone(model).set_params(columntransformer__numbered=encoder)
            return other.fit(training.select(example.pipeline.REQUEST), training["late"])

        return remake

    one_hot = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    variants = (
        Variant(),
        Variant("newest 60 days", history_days=60),
        Variant("newest 90 days", history_days=90),
        Variant("a column for each destination", remake=with_destinations(one_hot)),
        Variant("without destination", remake=with_destinations("drop")),
        Variant("7 leaves", (("max_leaf_nodes", 7),)),
        Variant("31 leaves", (("max_leaf_nodes", 31),)),
        Variant("200 trees", (("max_iter", 200),)),
    )
    return [{"choice": one.name, **worth(play(example, one, count))} for one in variants]


def worth(year: Year) -> Row:
    """What the loop is worth from its first retraining on, as means of months."""
    later = pl.DataFrame(year.months).slice(1)
    means = {name: float(later[name].to_numpy().mean()) for name in later.columns[4:-1]}
    return {
        **means,
        "auc gain": means["auc loop"] - means["auc frozen"],
        "brier ratio": means["brier loop"] / means["brier frozen"],
        "promoted": sum(row["verdict"] == "pass" for row in year.candidates),
        "slowest fit s": max(row["fit s"] for row in year.candidates),
    }


def show(title: str, rows: list[Row]) -> None:
    """Print a table."""
    print(f"\n{title}")
    with pl.Config(
        tbl_cols=-1,
        tbl_rows=-1,
        tbl_width_chars=250,
        fmt_str_lengths=60,
        float_precision=4,
        tbl_hide_column_data_types=True,
        tbl_hide_dataframe_shape=True,
        tbl_formatting="MARKDOWN",
    ):
        print(pl.DataFrame(rows))


def _example() -> Example:
    with imported(EXAMPLE, "pipeline") as pipeline, imported(EXAMPLE, "world") as world:
        contract = pipeline.Journey
        return Example(
            pipeline, world, contract, read_settings(EXAMPLE / FILE), _january(pipeline, world)
        )


def main() -> None:
    """Read the command line, play, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--months", type=int, default=11)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="of the step delay"
    )
    parser.add_argument("--choices", action="store_true", help="other ways to make the model")
    given = parser.parse_args()
    example = _example()
    if given.choices:
        show("Other ways to make the model", choices(example, given.months))
        return
    pairs = (text.split("=", 1) for text in given.set)
    parameters = tuple(
        (name, float(value) if "." in value else int(value)) for name, value in pairs
    )
    year = play(example, Variant(parameters=parameters), given.months)
    show("Candidates on the ten days before their month", year.candidates)
    show("Months in production", year.months)
    show("What monitoring can see of the version in charge", year.watch)
    show("The corrupted join", corrupted(example))
    show("January split by time and at random", random_split(example))
    show("The compiled model against the original", [parity(example, year.first)])
    if given.months > 1:
        show("From the first retraining on, means of months", [worth(year)])


if __name__ == "__main__":
    main()
