"""A model is kept from wherever it was fitted."""

from typing import Any, NamedTuple

import pytest

import cd4ml
from cd4ml.errors import InvalidInput, NotFound, ProjectNotFound
from cd4ml.loop import Project
from tests.loop.test_log_model import begun, fitted
from tests.loop.world import ANN, EVE, actions, entries


class Running(NamedTuple):
    """A run as a notebook holds it."""

    number: int


@pytest.mark.parametrize("run", [1, "1", "run/1", Running(1)])
def test_the_run_is_its_number_its_name_or_itself(project: Project, run: Any) -> None:
    begun(project)

    model = cd4ml.log_model(fitted(), run=run, name="delay", project=project.folder, actor=EVE)

    assert (model.run, model.name) == (1, "delay")
    assert entries(project)[-1].actor == EVE


def test_project_and_person_come_from_the_environment(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun(project)
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("CD4ML_ACTOR", ANN)

    model = cd4ml.log_model(fitted(), run=1, register="delay")

    assert model.name == "model"
    assert model.version is not None
    assert model.version.ref == "delay/1"


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"run": 7}, NotFound),
        ({"run": "delay/1"}, InvalidInput),
        ({"actor": "zoe"}, NotFound),
        ({"project": "/"}, ProjectNotFound),
    ],
)
def test_what_cannot_be_kept_leaves_no_trace(
    project: Project, options: dict[str, Any], error: type[Exception]
) -> None:
    begun(project)
    before = actions(project)

    with pytest.raises(error):
        cd4ml.log_model(fitted(), **{"run": 1, "project": project.folder, "actor": ANN, **options})

    assert actions(project) == before
