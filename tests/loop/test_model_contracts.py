"""The contract of a model is written to be reviewed, and compared as consumers see it."""

import pytest

from cd4ml.data.contract_file import contract_from_toml
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop import Project
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.model_contracts import compared, contract_behind, shown, written
from cd4ml.loop.train import train
from cd4ml.models.compatibility import changes
from tests.loop.test_contract_gate import OLD, narrowed
from tests.loop.test_evaluate import change
from tests.loop.world import ANN


def test_a_written_contract_has_limits_lists_classes_and_what_was_seen(released: Project) -> None:
    text = written(released, "delay/1")

    contract = contract_from_toml(text, "written.toml")
    wind = contract.fields[2]
    assert contract.names == ("carrier", "distance", "wind")
    assert contract.fields[0].categories == ("AA", "UA")
    assert wind.minimum == 0
    assert wind.maximum is not None
    assert wind.maximum > 42
    assert contract.classes == ("0", "1")
    assert contract.output is not None
    assert (contract.output.name, contract.output.unit) == ("late", "probability")
    assert contract.version == "2.0.0"  # it says less than the one in charge
    assert text.startswith("# Suggested from the training rows of run/1; review every line: what")
    assert "single answers took at most" in text
    assert "# seen 0.53 to 42.54, 366 different values\n[field.wind]" in text


def test_what_people_said_before_is_kept(project: Project) -> None:
    wind = 'Field("wind", "number", minimum=0)'
    change(project, wind, f'{wind[:-1]}, unit="mph", description="gusts")', "contracts.py")
    change(project, OLD, OLD.replace("FIELDS)", "FIELDS, latency_ms=5)"), "contracts.py")
    run = train(project, actor=ANN).run

    contract = contract_from_toml(written(project, run.ref), "written.toml")

    assert (contract.name, contract.latency_ms) == ("request", 5)
    assert (contract.fields[2].unit, contract.fields[2].description) == ("mph", "gusts")


def test_what_was_written_can_be_declared(project: Project) -> None:
    run = train(project, actor=ANN).run
    (project.folder / "request.toml").write_text(written(project, run.ref))

    opened = change(project, '"contracts:Request"', '"request.toml"')
    version = evaluate(opened, run.ref, actor=ANN).version

    assert version is not None
    assert contract_behind(opened, version.ref) == contract_behind(opened, "request.toml")
    assert shown(opened, version.ref) == shown(opened, "request.toml")


def test_two_contracts_are_compared_whatever_they_are(released: Project) -> None:
    narrowed(released)

    found = compared(released, "delay/1", "contracts:Request")

    assert (found.needed, found.is_raised, found.next_version) == ("major", False, "2.0.0")
    assert [change.words for change in found.changes] == [
        "'wind' was a number of at least 0 and is a number from 0 to 45"
    ]
    assert found.changes == changes(
        contract_behind(released, "delay/1"), contract_behind(released, "contracts:Request")
    )
    same = compared(released, "delay/1", "run/1")
    assert (same.needed, same.changes) == ("major", found.changes)  # the run would keep it today


def test_a_version_that_is_none_is_refused(released: Project) -> None:
    change(released, OLD, OLD.replace('"request"', '"request", version="newest"'), "contracts.py")

    with pytest.raises(InvalidInput) as refused:
        compared(released, "delay/1", "contracts:Request")

    assert refused.value.message == "the contract 'request' has the version 'newest'"


def test_a_version_that_there_is_not_is_not_found(project: Project) -> None:
    with pytest.raises(NotFound) as missing:
        shown(project, "delay/7")
    assert "delay/7" in missing.value.message
