"""The same code runs on other data, with other values, as an environment or a flag says."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cd4ml.errors import ConfigurationError, ContractViolated, InvalidInput, NotAllowed, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.access import open_table
from cd4ml.loop.compare import runs
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.people import add_person
from cd4ml.loop.search import search
from cd4ml.loop.train import train
from cd4ml.loop.versions import tag
from cd4ml.records.settings import SearchSettings
from tests.loop.test_ingest import add_flights, traces
from tests.loop.world import ANN, BEGIN, EVE, HOUR, flights


@contextmanager
def under(project: Project, settings: str) -> Iterator[Project]:
    """The project with more in its settings."""
    path = project.folder / "cd4ml.toml"
    with path.open("a") as file:
        file.write(f"\n{settings}\n")
    with open_project(project.folder) as opened:
        yield opened


@pytest.fixture
def sample(project: Project) -> str:
    """The path of a smaller file of flights."""
    flights(300, start=BEGIN - 300 * HOUR, seed=5).write_csv(project.folder / "data" / "sample.csv")
    return "data/sample.csv"


def test_a_version_is_named_by_number_tag_date_or_month(project: Project) -> None:
    ingest(project, "flights", actor=ANN)
    tag(project, "flights@1", "january", actor=ANN)
    add_flights(project)
    ingest(project, "flights", actor=ANN)

    for wanted in ("flights@1", "flights@january"):
        assert (
            train(project, data={"flights": wanted}, actor=ANN).run.refs["flights"] == "flights@1"
        )
    for wanted in ("flights@2013-02-02", "flights@2013-03"):  # both were made on February 1st
        assert (
            train(project, data={"flights": wanted}, actor=ANN).run.refs["flights"] == "flights@2"
        )
    with pytest.raises(NotFound, match="had no version"):
        train(project, data={"flights": "flights@2013-01"}, actor=ANN)


def test_a_file_stands_for_a_dataset_and_is_a_version_of_its_own(
    project: Project, sample: str
) -> None:
    train(project, actor=ANN)

    report = train(project, data={"flights": sample}, actor=ANN)

    assert report.run.refs["flights"] == "flights_sample@1"
    assert report.run.overrides == {"flights": sample}
    assert [step.state for step in report.steps] == ["computed"] * 5
    assert show_dataset(project, "flights_sample").version.n_rows == 300
    assert len(show_dataset(project, "flights").versions) == 1
    again = train(project, data={"flights": sample}, actor=ANN)
    assert again.run.refs["flights"] == "flights_sample@1"


def test_a_folder_or_a_pattern_stands_for_a_dataset(project: Project) -> None:
    folder = project.folder / "data" / "2014"
    folder.mkdir()
    for number in range(2):
        start = BEGIN - (300 - 150 * number) * HOUR
        flights(150, start=start, seed=number).write_csv(folder / f"{number}.csv")

    whole = train(project, data={"flights": "data/2014"}, actor=ANN).run
    pattern = train(project, data={"flights": "data/2014/*.csv"}, actor=ANN).run

    assert whole.refs["flights"] == pattern.refs["flights"] == "flights_2014@1"


def test_files_that_stand_for_a_dataset_keep_its_contract(project: Project, sample: str) -> None:
    path = project.folder / sample
    pl.read_csv(path, try_parse_dates=True).with_columns(late=2.0).write_csv(path)

    with pytest.raises(ContractViolated, match="late"):
        train(project, data={"flights": sample}, actor=ANN)

    assert runs(project) == []


def test_files_that_stand_for_a_restricted_dataset_are_restricted(
    project: Project, sample: str
) -> None:
    text = (project.folder / "cd4ml.toml").read_text()
    restricted = text.replace('owner = "operations"', 'readers = ["analyst"]')
    (project.folder / "cd4ml.toml").write_text(restricted)
    with open_project(project.folder) as opened:
        with pytest.raises(NotAllowed):
            train(opened, data={"flights": sample}, actor=EVE)
        assert traces(opened)[0] == traces(project)[0]

        add_person(opened, "adam", roles=("analyst",), actor=ANN)
        train(opened, data={"flights": sample}, actor="adam")

        with pytest.raises(NotAllowed):
            open_table(opened, "flights_sample", actor=EVE, why="to see")


def test_another_dataset_stands_for_one(project: Project, sample: str) -> None:
    settings = f'[data.small]\npath = "{sample}"\ncontract = "contracts:Flights"'
    with under(project, settings) as opened:
        assert train(opened, data={"flights": "small"}, actor=ANN).run.refs["flights"] == "small@1"
        flights(310, start=BEGIN - 310 * HOUR).write_csv(project.folder / sample)
        # its files are versioned first, as those of any dataset that is not named by a version
        assert train(opened, data={"flights": "small"}, actor=ANN).run.refs["flights"] == "small@2"
        assert (
            train(opened, data={"flights": "small@1"}, actor=ANN).run.refs["flights"] == "small@1"
        )


def test_a_name_that_is_taken_is_not_given_to_a_file(project: Project, sample: str) -> None:
    with (
        under(project, '[data.flights_sample]\nsource = "pushed"') as opened,
        pytest.raises(InvalidInput) as refused,
    ):
        train(opened, data={"flights": sample}, actor=ANN)

    assert str(refused.value) == (
        "'data/sample.csv' would be a version of 'flights_sample', which cd4ml.toml has for other"
        " data\n  hint: --data flights=flights_sample, or give the file another name"
    )


STAGING = """\
[environments.qa]
data = { flights = "data/sample.csv" }
parameters = { "delay.strength" = 0.5, training = { upside_down = true } }
"""


def test_an_environment_has_data_and_parameters_of_its_own(project: Project, sample: str) -> None:
    with under(project, STAGING) as opened:
        run = train(opened, environment="qa", actor=ANN).run
        usual = train(opened, actor=ANN).run

    assert run.environment_name == "qa"
    assert run.refs["flights"] == "flights_sample@1"
    assert run.parameters == {"delay.strength": 0.5, "training.upside_down": True}
    assert run.overrides == {"flights": sample, **run.parameters}
    assert (usual.environment_name, usual.overrides) == ("", {})
    assert usual.parameters == {"delay.strength": 1.0, "training.upside_down": False}


def test_a_flag_wins_over_the_environment(project: Project, sample: str) -> None:
    ingest(project, "flights", actor=ANN)
    with under(project, STAGING) as opened:
        run = train(
            opened,
            environment="qa",
            data={"flights": "flights@1"},
            overrides={"delay.strength": 2.0},
            actor=ANN,
        ).run

    assert run.refs["flights"] == "flights@1"
    assert run.parameters == {"delay.strength": 2.0, "training.upside_down": True}


@pytest.mark.slow
def test_every_trial_of_a_search_takes_the_environment(project: Project, sample: str) -> None:
    with under(project, STAGING) as opened:
        wanted = SearchSettings(space={"delay.strength": [1.0, 2.0]}, environment="qa", workers=1)
        report = search(opened, wanted, actor=ANN)

    assert {each.run.refs["flights"] for each in report.runs} == {"flights_sample@1"}
    assert {each.run.parameters["delay.strength"] for each in report.runs} == {1.0, 2.0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"environment": "stagin"},
            "no environment named 'stagin'\n  hint: known: staging, production",
        ),
        (
            {"data": {"flights": "january"}},
            "no dataset, file or folder 'january' for 'flights'\n"
            "  hint: known datasets: flights, labelled; flights@NUMBER, TAG or DATE, or a path",
        ),
        (
            {"overrides": {"delay.strength": "much"}},
            "parameter 'delay.strength': expected `float`, got `str`\n"
            "  hint: it is declared as strength: float = 1.0",
        ),
        (
            {"data": {"flights": "data/sample.csv"}, "as_of": datetime(2013, 3, 1, tzinfo=UTC)},
            "the files 'data/sample.csv' have no past that they could be read as of\n"
            "  hint: --data flights=flights@NUMBER names a version",
        ),
    ],
)
def test_what_is_not_known_is_refused_before_any_version_is_made(
    project: Project, sample: str, arguments: dict[str, Any], message: str
) -> None:
    before = traces(project)[0]

    with pytest.raises(InvalidInput) as refused:
        train(project, actor=ANN, **arguments)

    assert str(refused.value) == message
    assert traces(project)[0] == before
    assert runs(project) == []


def test_files_that_are_not_there_are_said(project: Project) -> None:
    with pytest.raises(NotFound, match=r"data/none\.csv"):
        train(project, data={"flights": "data/none.csv"}, actor=ANN)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            'data = { fares = "fares@1" }',
            "there is no [data.fares] - at `environments.qa.data.fares`"
            "\n  hint: known: flights, labelled",
        ),
        (
            'data = { flights = "" }',
            "expected which data, got '' - at `environments.qa.data.flights`"
            "\n  hint: a version like flights@3, another dataset, or a path",
        ),
        (
            "parameters = { delay = { since = 2013-01-01 } }",
            "no parameter is a date - at `environments.qa.parameters.delay`"
            "\n  hint: a number, text, true, false, or a list or table of these",
        ),
        (
            "data = { flights = 3 }",
            "expected `str`, got `int` - at `environments.qa.data[...]`",
        ),
    ],
)
def test_an_environment_that_cannot_be_meant_is_refused_with_its_place(
    project: Project, settings: str, message: str
) -> None:
    with (
        pytest.raises(ConfigurationError) as refused,
        under(project, f"[environments.qa]\n{settings}"),
    ):
        pass

    assert str(refused.value).startswith(f"{project.folder / 'cd4ml.toml'}: {message}")


def test_parameters_of_an_environment_are_those_of_the_pipeline(project: Project) -> None:
    settings = '[environments.qa]\nparameters = { "delay.stength" = 1 }'
    with under(project, settings) as opened, pytest.raises(InvalidInput) as refused:
        train(opened, environment="qa", actor=ANN)

    assert str(refused.value) == (
        "no parameter named 'delay.stength'\n  hint: known: delay.strength, training.upside_down"
    )


def test_the_data_of_runs_decide_no_release(project: Project, tmp_path: Path) -> None:
    from cd4ml.release.content import plan_address

    plain = project.settings.environments["staging"]
    with under(project, "") as opened:
        text = (opened.folder / "cd4ml.toml").read_text()
    other = text.replace(
        "[environments.staging]",
        '[environments.staging]\ndata = { flights = "flights@1" }',
    )
    (project.folder / "cd4ml.toml").write_text(other)

    with open_project(project.folder) as opened:
        assert opened.settings.environments["staging"] != plain
        assert plan_address(opened.settings.environments["staging"]) == plan_address(plain)
