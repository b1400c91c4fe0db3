"""The flights example: its steps, its contracts and its world agree with each other."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal

from cd4ml.gates.evidence import evidence_of
from cd4ml.gates.judge import judge
from cd4ml.models.contract import CompiledContract
from cd4ml.models.estimator import score_frame
from cd4ml.models.native import NativeScorer
from cd4ml.models.onnx import CompiledScorer, compile_estimator
from cd4ml.models.parity import compare, probes
from cd4ml.pipeline.module import imported
from cd4ml.records.metric_gate import MetricGate
from cd4ml.store.project import FILE, read_settings

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights"
NEW_YEAR = datetime(2013, 1, 1, 5, tzinfo=UTC)
NOTHING = pl.DataFrame()


class Example(NamedTuple):
    pipeline: Any
    contracts: Any
    world: Any
    flights: pl.DataFrame
    weather: pl.DataFrame
    planes: pl.DataFrame
    model: Any

    @property
    def january(self) -> pl.DataFrame:
        return self.journeys()

    def journeys(self, **parameters: str) -> pl.DataFrame:
        rows = self.pipeline.journeys(self.flights, self.weather, self.planes, **parameters)
        ordered: pl.DataFrame = self.pipeline.examples(rows, NOTHING)
        return ordered


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    folder = tmp_path_factory.mktemp("flights")
    with (
        imported(EXAMPLE, "pipeline") as pipeline,
        imported(EXAMPLE, "contracts") as contracts,
        imported(EXAMPLE, "world") as world,
    ):
        world.lay_out(folder)
        data = folder / "data"
        flights = pl.read_parquet(data / "flights")
        weather = pl.read_parquet(data / "weather.parquet")
        planes = pl.read_parquet(data / "planes.parquet")
        loaded = Example(pipeline, contracts, world, flights, weather, planes, model=None)
        yield loaded._replace(model=pipeline.delay(pipeline.training(loaded.january)))


def test_its_settings_are_understood() -> None:
    settings = read_settings(EXAMPLE / FILE)

    assert set(settings.data) == {"flights", "weather", "planes", "labelled"}
    assert settings.model.target == "late"


def test_the_world_asks_with_exactly_the_fields_of_the_contract(example: Example) -> None:
    asked = example.world.requests(example.world.BEGIN, example.world.BEGIN + timedelta(days=1))

    fields = tuple(asked.drop("key", "event_at", "label", "label_at").columns)
    assert fields == example.contracts.Journey.names == example.world.REQUEST


@pytest.mark.slow
def test_every_request_of_the_year_keeps_the_contract(example: Example) -> None:
    contract = example.contracts.Journey
    asked = example.world.requests(NEW_YEAR, NEW_YEAR + timedelta(days=366))

    assert asked.height == 336_776
    CompiledContract(contract).refuse_unless_kept(asked.select(contract.names).to_dicts())


def test_training_rows_are_what_production_would_have_asked(example: Example) -> None:
    asked = example.world.requests(NEW_YEAR, example.world.BEGIN)
    known = asked.filter(pl.col("label_at") <= example.world.BEGIN).rename({"label": "late"})

    seen = example.pipeline.examples(known.select(example.january.columns), NOTHING)
    assert_frame_equal(seen, example.january)


def test_flights_that_are_still_in_the_air_have_no_outcome_yet(example: Example) -> None:
    asked = example.world.requests(NEW_YEAR, example.world.BEGIN)
    in_the_air = asked.filter(pl.col("label_at") > example.world.BEGIN)

    n_cancelled = asked["label_at"].null_count()
    assert in_the_air.height == 90
    assert example.flights["arr_delay"].null_count() == n_cancelled + 90


def test_the_truth_is_known_when_a_flight_lands(example: Example) -> None:
    """UA1545 left EWR at 5:15 for Houston, due 8:19 there, and came 11 minutes late."""
    asked = example.world.requests(NEW_YEAR, NEW_YEAR + timedelta(hours=6))
    first = asked.row(by_predicate=pl.col("key") == "2013-01-01 UA1545 EWR", named=True)

    assert first["event_at"] == datetime(2013, 1, 1, 10, 15, tzinfo=UTC)
    assert first["label_at"] == datetime(2013, 1, 1, 14, 30, tzinfo=UTC)
    assert first["label"] is False


def test_labels_come_after_their_request_also_when_clocks_change(example: Example) -> None:
    asked = example.world.requests(NEW_YEAR, NEW_YEAR + timedelta(days=366))
    wait = asked.select(hours=(pl.col("label_at") - pl.col("event_at")).dt.total_minutes() / 60)

    assert asked["label"].null_count() == asked["label_at"].null_count() == 9_430
    assert 0 < wait["hours"].min() < wait["hours"].max() < 33
    clocks_went_back = datetime(2013, 11, 3, 5, tzinfo=UTC)
    that_day = example.world.requests(clocks_went_back, clocks_went_back + timedelta(days=1))
    shortest = (that_day["label_at"] - that_day["event_at"]).min()
    assert shortest > timedelta(minutes=30)  # less: the arrival was taken for an hour earlier


def test_nothing_that_is_learned_from_was_in_the_air_when_the_holdout_began(
    example: Example,
) -> None:
    training = example.pipeline.training(example.january)
    holdout = example.pipeline.holdout(example.january)

    gap = holdout["event_at"].min() - training["event_at"].max()
    assert gap >= timedelta(hours=24)
    assert example.january["event_at"].max() - holdout["event_at"].min() < timedelta(days=10)


def test_labelled_production_joins_the_examples(example: Example) -> None:
    """Curated rows come with their target as a number and in any order."""
    february = example.world.BEGIN + timedelta(days=2)
    asked = example.world.requests(example.world.BEGIN, february).drop_nulls("label")
    curated = asked.drop("key", "label_at").with_columns(late=pl.col("label").cast(pl.Float64))

    rows = example.pipeline.examples(example.january, curated.reverse())

    assert rows.height == example.january.height + asked.height
    assert rows.schema == example.january.schema
    assert rows["event_at"].is_sorted()


def test_the_same_rows_give_the_same_model_in_whatever_order_they_come(example: Example) -> None:
    shuffled = example.january.sample(fraction=1.0, shuffle=True, seed=1)
    rows = example.pipeline.training(example.pipeline.examples(shuffled, NOTHING))

    again = example.pipeline.delay(rows)

    holdout = example.pipeline.holdout(example.january)
    assert (score_frame(again, holdout) == score_frame(example.model, holdout)).all()


def test_the_gates_accept_the_january_model(example: Example) -> None:
    assert _outcomes(example, example.january) == {
        "auc at least 0.58": "pass",
        "auc better than trivial": "pass",
        "brier better than trivial": "pass",
        "brier no worse than champion by 0.002": "pass",
    }


def test_the_gates_refuse_a_join_that_lost_part_of_its_key(example: Example) -> None:
    (name,) = example.world.CORRUPTED
    corrupted = example.journeys(**{name.partition(".")[2]: example.world.CORRUPTED[name]})

    outcomes = _outcomes(example, corrupted)

    assert outcomes["auc at least 0.58"] == "fail"
    assert outcomes["brier better than trivial"] == "fail"


def test_settings_are_chosen_without_a_look_at_the_holdout(example: Example) -> None:
    training = example.pipeline.training(example.january)

    metrics = example.pipeline.evaluation(example.model, training)

    assert metrics["auc"] == pytest.approx(0.64, abs=0.02)
    assert metrics["brier"] == pytest.approx(0.17, abs=0.01)


def test_the_compiled_model_answers_as_the_original(example: Example) -> None:
    contract = example.contracts.Journey
    asked = example.world.requests(example.world.BEGIN, example.world.BEGIN + timedelta(days=2))
    sample = asked.select(contract.names).to_dicts()
    made_up = probes(contract, sample)
    values = [tuple(row[name] for name in contract.names) for row in sample + made_up]
    compiled = CompiledScorer(compile_estimator(example.model, contract), contract)

    parity = compare(
        np.array(NativeScorer(example.model, contract).score(values)),
        np.array(compiled.score(values)),
        n_probes=len(made_up),
        are_probabilities=True,
    )

    assert parity.refusal == ""


def _outcomes(example: Example, rows: pl.DataFrame) -> dict[str, str]:
    training = example.pipeline.training(rows)
    holdout = example.pipeline.holdout(rows)
    evidence = evidence_of(
        holdout,
        target="late",
        score=score_frame(example.pipeline.delay(training), holdout),
        base_rate=float(training["late"].to_numpy().mean()),
    )
    gates = tuple(
        gate for gate in read_settings(EXAMPLE / FILE).gate if isinstance(gate, MetricGate)
    )
    return {f.gate: f.outcome for f in judge(gates, evidence) if f.is_gated}
