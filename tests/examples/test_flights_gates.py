"""The flights example passes its gates on data, leaks, skew and contracts, and fails them if it is spoilt.

January's real flights; the mistakes are ones that people make.
"""

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.init import init
from cd4ml.loop.people import add_person
from cd4ml.loop.promote import approve, request
from cd4ml.loop.train import train
from cd4ml.pipeline.module import imported
from cd4ml.records.verdict import Verdict
from cd4ml.store.clock import SharedClock
from tests.loop.world import ANN, BEGIN, MAX, ask

KINDS = ("data", "leakage", "skew", "contract")


@pytest.fixture(scope="module")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example with January's data, run once: copies take its steps from the cache."""
    folder = tmp_path_factory.mktemp("flights") / "flights"
    init(folder, name="flights", example="flights", actor=ANN)
    SharedClock.create(folder / ".cd4ml" / "clock", BEGIN)
    with open_project(folder) as project:
        add_person(project, MAX, roles=("release-manager",), actor=ANN)
        train(project, actor=ANN)
    return folder


@pytest.fixture
def flights(laid_out: Path, tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "flights"
    shutil.copytree(laid_out, folder)
    with open_project(folder) as project:
        yield project


def spoilt(project: Project, *edits: tuple[str, str], file: str = "pipeline.py") -> Verdict:
    """The verdict after an edit of the example."""
    for old, new in edits:
        edit(project.folder / file, old, new)
    with open_project(project.folder) as changed:
        return evaluate(changed, train(changed, actor=ANN).run.ref, actor=ANN).verdict


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def failing(verdict: Verdict) -> list[str]:
    return [f.gate for f in verdict.findings if f.is_gated and f.outcome != "pass"]


def test_the_example_passes_every_gate(flights: Project) -> None:
    verdict = evaluate(flights, "run/1", actor=ANN).verdict

    assert (verdict.outcome, failing(verdict)) == ("pass", [])
    assert set(KINDS) <= set(verdict.evidence)


def test_rules_that_the_data_break_fail(flights: Project) -> None:
    """Reviewed after the data had come: no departure is ten hours late."""
    edit(flights.folder / "contracts.py", "maximum=4320, unit", "maximum=600, unit")

    verdict = evaluate(flights, "run/1", actor=ANN).verdict

    assert failing(verdict) == ["broken rules at most 0 in flights@1"]
    assert "flights: dep_delay at most 600" in [f.gate for f in verdict.findings]


def test_the_delay_itself_among_the_columns_fails(flights: Project) -> None:
    """The departure's delay is known when the aircraft leaves, not at the scheduled time."""
    edits = (("NUMBERS = [field", 'REQUEST += ["arr_delay"]\nNUMBERS = ["arr_delay"] + [field'),)
    edit(flights.folder / "cd4ml.toml", 'contract = "contracts:Journey"\n', "")

    verdict = spoilt(flights, *edits)

    (leak,) = (f for f in verdict.findings if "(arr_delay)" in f.gate)
    assert leak.outcome == "fail"
    assert leak.value is not None
    assert leak.value > 0.999


def test_a_random_split_fails(flights: Project) -> None:
    verdict = spoilt(
        flights,
        (
            "    return _before(examples, HOLDOUT)",
            "    return examples.filter(pl.int_range(pl.len()) % 4 != 0)",
        ),
        (
            "    return _newest(examples, HOLDOUT)",
            "    return examples.filter(pl.int_range(pl.len()) % 4 == 0)",
        ),
    )

    assert "split in time by at least 24 hours" in failing(verdict)


def test_rates_learned_from_all_rows_fail(flights: Project) -> None:
    """How late each carrier is, counted over all rows: the holdout's outcomes are in it."""
    rates = (
        "@step\ndef rates(examples: pl.DataFrame) -> dict[str, float]:\n"
        "    late = examples.group_by('carrier').agg(pl.col(TARGET).mean()).sort('carrier')\n"
        "    return dict(late.iter_rows())\n\n\n@step\ndef delay(\n    rates: dict[str, float],\n"
    )

    verdict = spoilt(flights, ("@step\ndef delay(\n", rates))

    (leak,) = (
        f for f in verdict.findings if f.gate == "learned from the holdout at most 0 (rates)"
    )
    assert leak.reason == (
        "the step 'rates' makes plain data of 'examples', and 8,313 of the 8,313 holdout rows"
        " stand in it"
    )


@pytest.fixture(scope="module")
def in_production(laid_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """delay/1 in charge of production, and a second run that has not been judged."""
    folder = tmp_path_factory.mktemp("released") / "flights"
    shutil.copytree(laid_out, folder)
    with open_project(folder) as project:
        evaluate(project, "run/1", actor=ANN)
        request(project, "delay/1", to="staging", actor=ANN)
        release = request(project, "delay/1", to="production", actor=ANN)
        approve(project, release.ref, reason="the first", actor=MAX)
        train(project, overrides={"delay.max_iter": 90}, actor=ANN)
    return folder


@pytest.fixture
def served(in_production: Path, tmp_path: Path) -> Iterator[Project]:
    folder = tmp_path / "flights"
    shutil.copytree(in_production, folder)
    with open_project(folder) as project:
        yield project


def departures(project: Project) -> pl.DataFrame:
    """February's first forty requests."""
    with imported(project.folder, "world") as world:
        rows = world.requests(world.BEGIN, world.BEGIN + timedelta(hours=12))
        return rows.select(world.REQUEST).head(40)


def test_requests_as_they_were_in_january_pass(served: Project) -> None:
    ask(served, departures(served), apart=timedelta(seconds=30))

    verdict = evaluate(served, "run/2", actor=ANN).verdict

    assert failing(verdict) == []
    seen = {f.metric: f for f in verdict.findings if f.n_rows == 40}
    assert {"types of requests", "answers asked again", "refused requests"} <= seen.keys()


def test_airports_in_small_letters_fail(served: Project) -> None:
    """The contract leaves destinations open, so they are answered, and mean nothing."""
    asked = departures(served).with_columns(pl.col("dest").str.to_lowercase())
    ask(served, asked, apart=timedelta(seconds=30))

    verdict = evaluate(served, "run/2", actor=ANN).verdict

    assert failing(verdict) == ["unseen values at most 0.05 (dest)"]


def test_a_closed_list_of_carriers_breaks_callers_unless_it_is_another_major_version(
    served: Project,
) -> None:
    ask(served, departures(served), apart=timedelta(seconds=30))
    contracts = served.folder / "contracts.py"
    edit(contracts, "categories=CARRIERS,\n    open=True,", "categories=CARRIERS,")

    verdict = evaluate(served, "run/2", actor=ANN).verdict

    assert failing(verdict) == ["breaking changes at most 0 (journey 1.0.0)"]
    edit(contracts, '    name="journey",', '    name="journey",\n    version="2.0.0",')
    assert failing(evaluate(served, "run/2", actor=ANN).verdict) == []
