"""The gates of the computers example: each passes for one choice and fails for another."""

from collections.abc import Iterator

import polars as pl
import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.evaluate import Judgement, evaluate
from cd4ml.loop.init import init
from cd4ml.loop.promote import request
from cd4ml.loop.train import train
from cd4ml.loop.weakest import weakest
from cd4ml.records.finding import Finding

ANN = "ann"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("gates") / "computers"
    init(folder, example="computers", actor=ANN)
    with open_project(folder) as opened:
        yield opened


def judged(project: Project, **choices: str) -> Judgement:
    overrides = {name.replace("_", "."): choice for name, choice in choices.items()}
    return evaluate(project, train(project, overrides=overrides, actor=ANN).run.ref, actor=ANN)


def asked(judgement: Judgement) -> dict[str, Finding]:
    return {f.gate: f for f in judgement.verdict.findings if f.is_gated}


def test_prices_learned_from_all_offers_fail_and_from_recent_ones_pass(project: Project) -> None:
    bad, good = judged(project), judged(project, training_data="recent")

    assert (bad.verdict.outcome, good.verdict.outcome) == ("fail", "pass")
    assert {gate: f.outcome for gate, f in asked(bad).items()} == {
        "rmse at most 165 by interval": "fail",
        "rmse better than last-year": "pass",
        "rmse no worse than champion by 5": "pass",  # there is none yet
        "mape at most 0.08 by interval": "fail",
        "mape better than trivial": "pass",
        "mape on the worst of 8 slices no worse than all rows by 0.015": "fail",
        "rmse within the control limit of 0 releases": "pass",
        "rmse does not slide over 0 releases": "pass",
    }
    assert {f.outcome for f in asked(good).values()} == {"pass"}
    worst = asked(bad)["mape on the worst of 8 slices no worse than all rows by 0.015"]
    assert (worst.slice, worst.n_rows) == ("ram=24", 53)
    assert asked(good)["rmse better than last-year"].reason == (
        "-386 (-420 to -351.9) against last-year"
    )


def test_plain_features_are_no_better_than_a_list_of_last_year_s_prices(project: Project) -> None:
    # without the month nothing says that prices fall
    judgement = judged(project, price_features="plain")

    found = asked(judgement)
    assert found["rmse better than last-year"].outcome == "fail"
    assert found["mape better than trivial"].outcome == "fail"
    assert found["mape on the worst of 8 slices no worse than all rows by 0.015"].reason == (
        "3 of 8 slices fail beyond chance: cd=0, cd=0 & premium=1, ram=24"
    )


def test_the_weakest_slices_say_where_the_prices_are_off(project: Project) -> None:
    bad = judged(project)

    found = weakest(project, bad.verdict.ref, metric="rmse", min_rows=20, most=3)

    assert [f.slice for f in found.slices] == ["speed=75", "speed=100 & hd=1200", "cd=1 & ads=39"]
    assert (found.n_searched, round(found.level, 1)) == (215, 299.5)
    shown = [f.slice for f in bad.verdict.findings if f.gate == "rmse on a weak slice"]
    assert shown == ["screen=15 & cd=1"]  # of those with 100 offers or more


def test_a_price_list_that_slides_over_five_releases_is_stopped(project: Project) -> None:
    """Each beats the one in charge on the newest offers, and yet each is worse than the last was."""
    path = project.folder / "cd4ml.toml"
    text = path.read_text().replace("at_most = 165", "at_most = 1000")
    text = text.replace("at_most = 0.08", "at_most = 0.5").replace(
        "worse_by = 0.015", "worse_by = 1.0"
    )
    path.write_text(
        text.replace('kind = "trend"\nmetric = "rmse"', 'kind = "trend"\nmetric = "mape"')
    )
    offers = pl.read_csv(project.folder / "data" / "offers.csv")
    given: list[Judgement] = []
    with open_project(project.folder) as lenient:
        for month in (15, 17, 19, 21, 23):
            known = offers.filter(pl.col("month") <= month)
            known.write_csv(project.folder / "data" / "offers.csv")
            given.append(judged(lenient))
            if given[-1].version is not None:
                request(lenient, given[-1].version.ref, to="staging", actor=ANN)

    assert [each.verdict.outcome for each in given] == ["pass", "pass", "pass", "pass", "fail"]
    not_passed = [f for f in asked(given[-1]).values() if f.outcome != "pass"]
    assert [(f.gate, f.outcome) for f in not_passed] == [
        ("mape does not slide over 4 releases", "fail")
    ]
    assert not_passed[0].reason == (
        "0.09756, 0.1044, 0.1352, 0.1567, 0.1642: so steadily down by chance once in 120"
    )
