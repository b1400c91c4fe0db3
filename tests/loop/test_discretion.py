"""No value of a restricted dataset reaches who may not read it: not in answers, not in records."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

import cd4ml
from cd4ml.errors import Cd4mlError, ContractViolated, InvalidInput, NotAllowed, NotFound
from cd4ml.loop import Project, open_project
from cd4ml.loop.access import discreet, for_everybody
from cd4ml.loop.check import check_dataset
from cd4ml.loop.diff import profile, profile_column
from cd4ml.loop.due import pulls
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.people import add_person
from cd4ml.loop.pull import pull
from cd4ml.loop.push import push
from cd4ml.loop.search import search
from cd4ml.loop.status import status
from cd4ml.loop.train import train
from cd4ml.loop.versions import log
from cd4ml.loop.work import work
from cd4ml.records.dataset import Dataset, DatasetVersion
from cd4ml.records.settings import SearchSettings
from cd4ml.store import rows
from tests.data.sources.website import website
from tests.loop.shop import ride, shop
from tests.loop.world import ANN, EVE, entries

DOC = "doc"  # has the role that may read
SECRET = "-4711"  # the value that breaks the contract
BAD = f"AA,{SECRET},1.0,2013-02-01T00:00:00Z,0\n"
CSV = f"ride,station,minutes,left_at\n1,Park,{SECRET},2013-02-01T08:00:00Z\n".encode()


def restricted_copy(source: Path, folder: Path, said: str = "") -> Path:
    shutil.copytree(source, folder)
    file = folder / "cd4ml.toml"
    head = "[data.flights]\n"
    file.write_text(file.read_text().replace(head, f'{head}readers = ["medic"]\n{said}'))
    return folder


@pytest.fixture
def restricted(laid_out_folder: Path, tmp_path: Path) -> Iterator[Project]:
    """Flights that only medics may read; nothing was ingested yet."""
    with open_project(restricted_copy(laid_out_folder, tmp_path / "small")) as project:
        add_person(project, DOC, roles=("medic",), actor=ANN)
        yield project


def spoil(project: Project) -> None:
    with (project.folder / "data" / "flights.csv").open("a") as file:
        file.write(BAD)


def written(project: Project) -> str:
    """Everything that the ledger says."""
    return "\n".join(map(str, entries(project)))


def versions(project: Project, name: str = "flights") -> list[DatasetVersion]:
    with project.database.read() as connection:
        return rows.find(connection, DatasetVersion, dataset=name)


# --- what is shown of a version ----------------------------------------------------------------


@pytest.mark.parametrize(
    "look",
    [
        lambda project, actor: profile(project, "flights", actor=actor),
        lambda project, actor: profile_column(project, "flights@1", "wind", actor=actor),
    ],
)
def test_a_profile_is_for_who_may_read_the_rows(
    restricted: Project, look: Callable[[Project, str], object]
) -> None:
    ingest(restricted, "flights", actor=ANN)

    with pytest.raises(NotAllowed, match="eve may not read flights: it needs the role medic"):
        look(restricted, EVE)
    with pytest.raises(NotAllowed, match="flights is restricted, and nobody says who reads it"):
        look(restricted, "")
    assert look(restricted, DOC)
    (read,) = [entry for entry in entries(restricted) if entry.action == "dataset.read"]
    assert (read.actor, read.subject, read.reason) == (DOC, "flights@1", "its profile")


def test_a_version_in_a_notebook_has_no_value_for_who_may_not_read_it(restricted: Project) -> None:
    ingest(restricted, "flights", actor=ANN)

    hers = cd4ml.dataset("flights", project=restricted.folder, actor=EVE).version
    his = cd4ml.dataset("flights", project=restricted.folder, actor=DOC).version

    assert {(c.minimum, c.maximum, c.latest) for c in hers.columns} == {(None, None, "")}
    assert [c.name for c in hers.columns] == [c.name for c in his.columns]
    assert his.columns[1].maximum is not None


def test_the_log_has_no_value_for_who_may_not_read_it(restricted: Project) -> None:
    ingest(restricted, "flights", actor=ANN)

    for actor, sees in (("", False), (EVE, False), (DOC, True)):
        (logged,) = log(restricted, "flights", actor=actor)
        assert (logged.version.columns[1].maximum is not None) is sees


# --- what is said to whom ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "bring",
    [
        lambda project, actor: ingest(project, "flights", actor=actor),
        lambda project, actor: pull(project, "flights", actor=actor),
    ],
)
def test_who_brings_bad_rows_hears_of_rules_and_counts(
    restricted: Project, bring: Callable[[Project, str], object]
) -> None:
    spoil(restricted)

    with pytest.raises(ContractViolated) as hers:
        bring(restricted, EVE)
    with pytest.raises(ContractViolated) as his:
        bring(restricted, DOC)

    assert str(hers.value) == (
        "data/flights.csv breaks 1 of 19 rules of the contract flights 1.0.0"
        "\n  - distance at least 0: 1 of 601 rows, first in row 601"
        "\n  hint: correct the rows; or change the contract, as a new version"
    )
    assert "first in row 601: -4711.0\n" in str(his.value)


def test_values_that_cannot_be_read_are_not_told_either(restricted: Project) -> None:
    file = restricted.folder / "data" / "flights.csv"
    whole = file.read_text()
    for line in (f"AA,x{SECRET},1.0,2013-02-01T00:00:00Z,0\n", f"AA;{SECRET};1.0;2013;0\n"):
        file.write_text(whole + line)
        with pytest.raises(InvalidInput) as hers:
            ingest(restricted, "flights", actor=EVE)
        with pytest.raises(InvalidInput) as his:
            ingest(restricted, "flights", actor=DOC)

        assert SECRET not in str(hers.value)
        assert "601" in str(hers.value)  # the row
        assert SECRET in str(his.value)


def test_present_files_are_checked_for_who_may_read_them(restricted: Project) -> None:
    spoil(restricted)

    with pytest.raises(NotAllowed, match="eve may not read flights"):
        check_dataset(restricted, "flights", actor=EVE)
    with pytest.raises(NotAllowed, match="nobody says who reads it"):
        check_dataset(restricted, "flights")
    found = check_dataset(restricted, "flights", actor=DOC)

    assert [each.reason for each in found.findings if each.outcome == "fail"] == [
        "1 of 601 rows, first in row 601: -4711.0"
    ]


def test_who_sends_bad_rows_hears_of_no_value(tmp_path: Path) -> None:
    said = '[data.rides]\nsource = "pushed"\ncontract = "contracts:Rides"\nreaders = ["medic"]\n'
    with shop(tmp_path / "shop", said) as project:
        body = json.dumps([ride(1, minutes=float(SECRET))]).encode()
        heard = {}
        for actor in (EVE, ANN):
            with pytest.raises(ContractViolated) as refused:
                push(project, "rides", body, content_type="application/json", key="1", actor=actor)
            heard[actor] = str(refused.value)

    assert "1 of 1 rows, first in row 1\n" in heard[EVE]
    assert f"1 of 1 rows, first in row 1: {SECRET}.0\n" in heard[ANN]


# --- what is written down ----------------------------------------------------------------------


def test_what_is_set_aside_is_recorded_without_values(
    laid_out_folder: Path, tmp_path: Path
) -> None:
    said = 'on_violation = "quarantine"\n'
    with open_project(restricted_copy(laid_out_folder, tmp_path / "aside", said)) as project:
        spoil(project)
        ingest(project, "flights", actor=ANN)

        (aside,) = [each for each in entries(project) if each.subject == "flights_quarantine@1"]
        assert aside.details["broken"] == ["distance at least 0: 1 of 601 rows, first in row 601"]
        assert SECRET not in written(project)


def test_what_is_set_aside_of_open_data_is_recorded_with_values(
    laid_out_folder: Path, tmp_path: Path
) -> None:
    folder = restricted_copy(laid_out_folder, tmp_path / "aside", 'on_violation = "quarantine"\n')
    file = folder / "cd4ml.toml"
    file.write_text(file.read_text().replace('readers = ["medic"]\n', ""))
    with open_project(folder) as project:
        spoil(project)
        ingest(project, "flights", actor=ANN)

        assert SECRET in written(project)


@pytest.mark.parametrize("readers", ['["medic"]', '["medic", "system"]', "[]"])
def test_work_that_nobody_asked_for_leaves_no_value_of_restricted_data(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, readers: str
) -> None:
    with website() as site:
        site.serve("/rides.csv", CSV)
        said = (
            f'[data.rides]\nsource = "http"\nurl = "{site.url}/rides.csv"\nevery = "hour"\n'
            f'contract = "contracts:Rides"\nreaders = {readers}\n'
        )
        with shop(tmp_path / "shop", said) as project:
            (job,) = work(project, owner="here").jobs
            told = [job.reason, written(project), str(pulls(project)), str(status(project))]

    assert job.state == "failed"
    assert "1 of 1 rows, first in row 1" in job.reason
    assert [SECRET in each for each in (*told[:3], caplog.text)] == [readers == "[]"] * 4
    assert readers == "[]" or SECRET not in told[3]


def test_an_error_is_for_everybody_without_values_where_anything_is_restricted(
    restricted: Project, laid_out_folder: Path
) -> None:
    error = InvalidInput("it is -4711", hint="correct it", discreet="it is wrong")

    assert for_everybody(restricted, error) == "it is wrong\n  hint: correct it"
    with open_project(laid_out_folder) as nothing_restricted:
        assert for_everybody(nothing_restricted, error) == "it is -4711\n  hint: correct it"
    assert for_everybody(restricted, NotFound("there is none")) == "there is none"


def test_an_error_without_values_is_told_as_it_is(restricted: Project) -> None:
    error = NotFound("there is none", hint="make one")

    with pytest.raises(Cd4mlError) as raised, discreet(restricted, "flights", actor=EVE):
        raise error

    assert raised.value is error


# --- a run of who may not read -----------------------------------------------------------------


def test_a_run_that_is_refused_makes_no_version(restricted: Project) -> None:
    before = entries(restricted)

    with pytest.raises(NotAllowed, match="eve may not read flights"):
        train(restricted, actor=EVE)

    assert versions(restricted) == []
    assert entries(restricted) == before
    assert train(restricted, actor=DOC).run.ref == "run/1"


def test_a_search_that_is_refused_leaves_no_trace(restricted: Project) -> None:
    before = entries(restricted)

    with pytest.raises(NotAllowed, match="eve may not read flights"):
        search(restricted, SearchSettings(space={"delay.strength": [0.1, 0.2]}), actor=EVE)

    assert (versions(restricted), entries(restricted)) == ([], before)


def test_what_no_step_takes_hinders_no_run(laid_out_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "small"
    shutil.copytree(laid_out_folder, folder)
    with (folder / "cd4ml.toml").open("a") as file:
        file.write('\n[data.unused]\npath = "data/flights.csv"\nreaders = ["medic"]\n')
    with open_project(folder) as project:
        assert train(project, actor=EVE).run.state == "finished"


# --- personal columns --------------------------------------------------------------------------


def personal(folder: Path, names: str) -> None:
    file = folder / "cd4ml.toml"
    kept = [line for line in file.read_text().splitlines() if not line.startswith("personal")]
    text = "\n".join(kept)
    file.write_text(text.replace("[data.flights]\n", f"[data.flights]\npersonal = {names}\n"))


def test_a_misspelt_personal_column_is_refused_and_leaves_no_trace(project: Project) -> None:
    personal(project.folder, '["wind", "carier"]')
    with open_project(project.folder) as opened:
        before = entries(opened)
        with pytest.raises(Cd4mlError) as refused:
            ingest(opened, "flights", actor=ANN)

        assert str(refused.value) == (
            "cd4ml.toml: flights has no column 'carier' - at `data.flights.personal`\n"
            "  hint: its columns: carrier, distance, wind, event_at, late"
        )
        assert (versions(opened), entries(opened)) == ([], before)


def test_it_is_refused_where_only_the_words_changed(project: Project) -> None:
    ingest(project, "flights", actor=ANN)
    personal(project.folder, '["carier"]')
    with open_project(project.folder) as opened:
        with pytest.raises(Cd4mlError, match="flights has no column 'carier'"):
            ingest(opened, "flights", actor=ANN)
        with opened.database.read() as connection:
            assert rows.get(connection, Dataset, "flights").personal == ()


def test_a_column_that_only_earlier_versions_have_stays_marked_there(project: Project) -> None:
    personal(project.folder, '["wind"]')
    with open_project(project.folder) as opened:
        ingest(opened, "flights", actor=ANN)
        data = opened.settings.data["flights"]
        opened.settings.data["flights"] = msgspec.structs.replace(data, contract="")
        (opened.folder / "data" / "flights.csv").write_text("carrier\nAA\n")
        ingest(opened, "flights", actor=ANN)

        assert show_dataset(opened, "flights@1").facts.personal == ("wind",)
        assert show_dataset(opened, "flights@2").facts.personal == ()
