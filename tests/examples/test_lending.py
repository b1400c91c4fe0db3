"""The example of lending: what fits best fails the gate on groups, what is balanced passes it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from cd4ml.errors import ConfigurationError
from cd4ml.loop import Project, open_project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.ingest import ingest
from cd4ml.loop.init import init
from cd4ml.loop.search import search, settings_of
from cd4ml.loop.train import train
from cd4ml.pipeline.module import imported
from cd4ml.records.contract import Contract
from cd4ml.records.finding import Finding
from cd4ml.records.verdict import Verdict

EXAMPLE = Path(__file__).parents[2] / "examples" / "lending"
ACROSS = "selection_rate ratio at least 0.8 across "


@pytest.fixture(scope="module")
def applications() -> pl.DataFrame:
    with imported(EXAMPLE, "world") as world:
        rows: pl.DataFrame = world.applications()
        return rows


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("examples") / "lending"
    init(folder, example="lending", actor="ann")
    with open_project(folder) as opened:
        ingest(opened, "applications", actor="ann")
        yield opened


def judged(project: Project, **overrides: Any) -> Verdict:
    parameters = {name.replace("__", "."): value for name, value in overrides.items()}
    run = train(project, overrides=parameters, actor="ann").run
    return evaluate(project, run.ref, actor="ann").verdict


def of(verdict: Verdict, gate: str) -> Finding:
    (found,) = (each for each in verdict.findings if each.gate == gate)
    return found


def test_the_data_are_real_applications_without_the_row_of_means(
    applications: pl.DataFrame,
) -> None:
    refused = applications.group_by("black").agg((pl.col("denied") == "yes").mean())

    assert applications.shape == (2380, 14)
    assert dict(refused.rows()) == {
        "no": pytest.approx(0.0926, abs=1e-4),
        "yes": pytest.approx(0.2832, abs=1e-4),
    }
    assert applications.null_count().sum_horizontal().item() == 0


def test_the_balanced_fit_gives_up_its_covariance_with_the_groups_bit_by_bit() -> None:
    chance = np.random.default_rng(0)
    groups = (chance.random((500, 2)) < 0.3).astype(float)
    columns = chance.normal(size=(500, 4)) + groups @ chance.normal(size=(2, 4))
    denied = (chance.random(500) < 1 / (1 + np.exp(-columns.sum(axis=1)))).astype(int)

    with imported(EXAMPLE, "pipeline") as pipeline:
        fits = [pipeline.balanced(columns, denied, groups, share) for share in (0.0, 0.5, 1.0)]

    away = groups - groups.mean(axis=0)
    covariances = [np.abs(away.T @ fit.decision_function(columns)) for fit in fits]
    assert covariances[1] == pytest.approx(covariances[0] / 2)
    assert covariances[2] == pytest.approx(0, abs=1e-9)


def test_what_fits_best_fails_though_it_is_told_of_no_group(project: Project) -> None:
    verdict = judged(project)

    black, crossed = of(verdict, f"{ACROSS}black"), of(verdict, f"{ACROSS}black x single")
    assert verdict.outcome == "fail"
    assert (black.outcome, black.value) == ("fail", pytest.approx(0.691, abs=0.01))
    assert black.high is not None
    assert black.high < 0.8
    assert black.reason == "black=yes 0.616 (151 rows) beside black=no 0.891 (1,013 rows)"
    assert crossed.outcome == "fail"
    assert of(verdict, f"{ACROSS}single").outcome == "pass"
    assert {f.outcome for f in verdict.findings if f.gate.startswith(("auc", "brier"))} == {"pass"}


def test_what_is_balanced_passes_and_asks_nobody_of_race(project: Project) -> None:
    run = train(project, overrides={"refusal.balance": 0.85}, actor="ann").run

    judgement = evaluate(project, run.ref, actor="ann")

    assert judgement.verdict.outcome == "pass"
    assert judgement.version is not None
    contract = project.blobs.get_record(judgement.version.contract, Contract)
    assert not {"black", "single"} & {*contract.names}
    black = of(judgement.verdict, f"{ACROSS}black")
    assert black.value == pytest.approx(0.882, abs=0.01)
    groups = [each.slice for each in judgement.verdict.findings if each.metric == "selection_rate"]
    assert groups == [
        *("black=no", "black=yes", "single=no", "single=yes"),
        *("black=no & single=no", "black=no & single=yes"),
        *("black=yes & single=no", "black=yes & single=yes"),
    ]


def test_each_column_alone_may_pass_where_both_crossed_do_not(project: Project) -> None:
    verdict = judged(project, refusal__balance=0.7)

    outcomes = [
        of(verdict, ACROSS + name).outcome for name in ("black", "single", "black x single")
    ]
    assert outcomes == ["pass", "pass", "fail"]


def test_a_model_that_hardly_knows_anything_is_fair_and_refused(project: Project) -> None:
    verdict = judged(project, refusal__balance=1.0)

    assert of(verdict, f"{ACROSS}black x single").outcome == "pass"
    assert of(verdict, "auc at least 0.65").outcome == "fail"


def test_rows_of_the_best_customers_are_no_fair_sample_of_people(project: Project) -> None:
    passed, failed = (
        judged(project, refusal__balance=0.85),
        judged(project, training__applicants="prime"),
    )

    share = "training share at least 0.8 of the holdout's across black"
    assert of(passed, share).outcome == "pass"
    assert (of(failed, share).outcome, of(failed, share).value) == (
        "fail",
        pytest.approx(0.539, abs=0.01),
    )
    assert of(failed, share).reason == "black=yes 0.0699 of 472 rows, expected 0.13"
    assert failed.outcome == "fail"
    assert sorted(failed.evidence) == ["judged", "representation", "rows"]


def test_groups_that_the_training_rows_do_not_have_are_a_mistake_of_the_policy(
    project: Project, tmp_path: Path
) -> None:
    init(tmp_path / "other", example="lending", actor="ann")
    policy = tmp_path / "other" / "cd4ml.toml"
    policy.write_text(policy.read_text().replace('"black", "single"]\nshare', '"race"]\nshare'))

    with open_project(tmp_path / "other") as other:
        ingest(other, "applications", actor="ann")
        run = train(other, actor="ann").run
        with pytest.raises(ConfigurationError) as refused:
            evaluate(other, run.ref, actor="ann")

    assert str(refused.value) == (
        "cd4ml.toml: the training rows have no column 'race' to group by - at `gate`\n"
        "  hint: known: application, debt_to_income, housing_to_income, loan_to_value,"
        " credit_score, mortgage_score, public_record, self_employed, unemployment,"
        " condominium, black, single, denied"
    )


@pytest.mark.slow
def test_the_search_shows_what_fairness_costs(project: Project) -> None:
    report = search(project, settings_of(project, "balance"), actor="ann")

    by_balance = sorted(report.trials, key=lambda trial: trial.parameters["refusal.balance"])
    ratios = [trial.value for trial in by_balance]
    assert len(ratios) == 6
    assert ratios == sorted(ratios)
