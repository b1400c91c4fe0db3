"""Leaks of real pipelines are found by their rows, their times, and what their steps read."""

import pytest

from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.train import train
from cd4ml.records.finding import Finding
from tests.loop.test_evaluate import change
from tests.loop.world import ANN

KEY = 'key = ["event_at"]'
GATE = '[[gate]]\nkind = "leakage"\n'
FIT = "return model.fit(training.select(REQUEST), training"
ENCODER = """

@step
def encoder(rows: pl.DataFrame) -> Model:
    return KMeans(3, n_init=1, random_state=0).fit(rows.select("distance", "wind"))
"""


def gated(project: Project, more: str = "") -> Project:
    return change(project, "[environments.staging]", f"{GATE}{more}\n[environments.staging]")


def found(project: Project) -> dict[str, Finding]:
    verdict = evaluate(project, train(project, actor=ANN).run.ref, actor=ANN).verdict
    return {finding.gate: finding for finding in verdict.findings}


def with_encoder(project: Project, rows: str) -> Project:
    """A step that learns from `rows`, which the model comes from."""
    text = (project.folder / "pipeline.py").read_text()
    text = text.replace(
        "def delay(training: pl.DataFrame,", "def delay(training: pl.DataFrame, encoder: Model,"
    )
    text = text.replace(
        "import polars as pl\n", "import polars as pl\nfrom sklearn.cluster import KMeans\n"
    )
    (project.folder / "pipeline.py").write_text(text + ENCODER.replace("rows", rows))
    return gated(change(project, "[model]", '[model]\nstep = "delay"'))


def test_an_encoder_fitted_on_the_holdout_is_found_by_lineage(project: Project) -> None:
    seen = found(with_encoder(project, "examples"))

    finding = seen["learned from the holdout at most 0 (encoder)"]
    assert finding.outcome == "fail"
    assert finding.reason == (
        "the step 'encoder' makes a model of 'examples', and 200 of the 200 holdout rows stand in it"
    )


def test_an_encoder_fitted_on_the_training_rows_is_none(project: Project) -> None:
    seen = found(with_encoder(project, "training"))

    passed = seen["learned from the holdout at most 0"]
    assert (passed.outcome, passed.reason) == ("pass", "delay, encoder read none of its rows")


def test_an_encoder_fitted_on_the_raw_data_is_found_too(project: Project) -> None:
    seen = found(with_encoder(project, "flights"))

    finding = seen["learned from the holdout at most 0 (encoder)"]
    assert "a model of 'flights', and 200 of the 200 holdout rows" in finding.reason


def test_a_model_that_learns_from_more_than_its_training_rows_is_found(project: Project) -> None:
    change(
        project,
        "def delay(training: pl.DataFrame,",
        "def delay(examples: pl.DataFrame,",
        "pipeline.py",
    )
    change(project, FIT, "return model.fit(examples.select(REQUEST), examples", "pipeline.py")

    seen = found(gated(project))

    assert seen["learned from the holdout at most 0 (delay)"].outcome == "fail"


def test_plain_data_that_is_learned_from_rows_is_found_and_can_be_allowed(
    project: Project,
) -> None:
    mean = "\n\n@step\ndef mean(examples: pl.DataFrame) -> float:\n    return examples['wind'].mean()\n"
    text = (project.folder / "pipeline.py").read_text() + mean
    (project.folder / "pipeline.py").write_text(text)
    change(
        project,
        "def delay(training: pl.DataFrame,",
        "def delay(training: pl.DataFrame, mean: float,",
        "pipeline.py",
    )

    seen = found(gated(project, 'allow = { mean = "a constant of the trade" }\n'))

    finding = seen["learned from the holdout at most 0 (mean)"]
    assert (finding.outcome, finding.is_gated) == ("fail", False)
    assert finding.reason == (
        "the step 'mean' makes plain data of 'examples', and 200 of the 200 holdout rows stand in"
        " it; allowed: a constant of the trade"
    )


def test_a_column_that_is_the_target_in_other_words_is_found(project: Project) -> None:
    change(
        project,
        'select(*REQUEST, "event_at", "late")',
        'with_columns(minutes_late=pl.col("late") * 40 - 7).select(*REQUEST, "event_at", "late")',
        "pipeline.py",
    )
    change(project, '"distance", "wind"]\n', '"distance", "wind", "minutes_late"]\n', "pipeline.py")
    change(project, 'contract = "contracts:Request"\n', "")
    change(
        project, "labelled.select(known.columns)", "labelled.select(known.columns)", "pipeline.py"
    )

    seen = found(gated(project))

    finding = seen["one column alone at most 0.99 (minutes_late)"]
    assert (finding.outcome, finding.value) == ("fail", 1.0)


def test_a_random_split_of_rows_in_time_is_found(project: Project) -> None:
    change(
        project,
        'known.sort("event_at")',
        'known.sort("event_at").sample(fraction=1.0, shuffle=True, seed=1)',
        "pipeline.py",
    )

    seen = found(gated(project))

    finding = seen["split in time by at least 0 hours"]
    assert finding.outcome == "fail"
    assert finding.value is not None
    assert finding.value < -500


def test_what_was_known_after_the_event_is_found_by_the_contracts_arrival_time(
    project: Project,
) -> None:
    data = project.folder / "data" / "flights.csv"
    lines = data.read_text().splitlines()
    place = lines[0].split(",").index("event_at")
    later = [f"{line},{line.split(',')[place].replace('-08T', '-09T')}" for line in lines[1:]]
    data.write_text("\n".join([f"{lines[0]},seen_at", *later]) + "\n")
    change(
        project,
        'Field("event_at", "datetime"),',
        'Field("event_at", "datetime"), Field("seen_at", "datetime"),',
        "contracts.py",
    )
    change(project, 'name="flights",', 'name="flights", arrival_time="seen_at",', "contracts.py")
    change(project, '"event_at", "late")', '"event_at", "late", "seen_at")', "pipeline.py")

    seen = found(gated(project))

    finding = seen["known too late at most 0 (seen_at)"]
    assert finding.is_gated
    assert finding.outcome == "fail"
    assert finding.value is not None
    assert 0 < finding.value < 600


@pytest.mark.parametrize("holdout", [True, False])
def test_a_verdict_with_a_leak_is_no_pass(project: Project, holdout: bool) -> None:
    opened = with_encoder(project, "examples" if holdout else "training")

    judged = evaluate(opened, train(opened, actor=ANN).run.ref, actor=ANN)

    assert judged.verdict.outcome == ("fail" if holdout else "pass")
    assert (judged.version is None) is holdout


BETWEEN = """

@step
def between(examples: pl.DataFrame) -> pl.DataFrame:
    return {made}


@step
def encoder(between: pl.DataFrame) -> {kind}:
    rates = between.group_by("carrier").agg(pl.col("late").mean()).sort("carrier")
    return {given}
"""
PLAIN, ARRAY = "dict[str, float]", "np.ndarray"


def with_step_between(project: Project, made: str, kind: str = PLAIN, model: str = "") -> Project:
    """An encoder that learns from rows that a step made of all rows."""
    given = {PLAIN: "dict(rates.iter_rows())", ARRAY: 'rates["late"].to_numpy()'}[kind]
    text = (project.folder / "pipeline.py").read_text()
    text = text.replace("import polars as pl\n", "import numpy as np\nimport polars as pl\n", 1)
    text = text.replace(
        "delay(training: pl.DataFrame,", f"delay(training: pl.DataFrame, encoder: {kind},"
    )
    added = BETWEEN.format(made=made, kind=kind, given=given)
    (project.folder / "pipeline.py").write_text(text + added)
    return gated(change(project, "[model]", f"[model]\n{model}"))


@pytest.mark.parametrize(
    ("made", "kind", "model", "told"),
    [
        ("examples", ARRAY, "", "200 of the 200 holdout rows stand in it"),
        ('examples.select("carrier", "late")', PLAIN, "", "the holdout comes from it too"),
        ('examples.select("carrier", "late")', PLAIN, KEY, "the holdout comes from it too"),
        ('examples.with_columns(pl.col("wind") * 2)', PLAIN, "", "the holdout comes from it too"),
        ('examples.with_columns(pl.col("wind") * 2)', PLAIN, KEY, "200 of the 200 holdout rows"),
    ],
    ids=["an array", "some columns", "without the key", "changed rows", "changed rows, by key"],
)
def test_a_step_in_between_hides_nothing(
    made: str, kind: str, model: str, told: str, project: Project
) -> None:
    seen = found(with_step_between(project, made, kind, model))

    finding = seen["learned from the holdout at most 0 (encoder)"]
    assert finding.outcome == "fail"
    assert told in finding.reason
    assert "learned from the holdout at most 0 (delay)" not in seen  # told once, allowed once


@pytest.mark.parametrize("made", ["examples.head(100)", "examples.slice(50, 300)"])
def test_other_rows_of_the_same_table_are_not_the_holdout(made: str, project: Project) -> None:
    seen = found(with_step_between(project, made))

    passed = seen["learned from the holdout at most 0"]
    assert (passed.outcome, passed.reason) == ("pass", "delay, encoder read none of its rows")
