"""The page on what each field of a request added to its answer."""

import json

import httpx
import pytest

from cd4ml.loop import Project
from cd4ml.loop.candidate import candidate_of, runtime_of, table
from cd4ml.loop.registry import version_of
from cd4ml.models.prediction_id import make
from cd4ml.records.plan import Plan
from cd4ml.serving.endpoint import build
from cd4ml.serving.lines import Asked, lines_of
from cd4ml.store import rows
from cd4ml.store.clock import microseconds
from cd4ml.store.masking import Mask
from cd4ml.store.segments import Segment
from tests.web.test_pages import read


@pytest.fixture
def prediction(project: Project) -> str:
    """The id of a patient's prediction, answered in staging and not collected yet."""
    patient = table(project, candidate_of(project, 1).holdout).drop("malignant").row(0, named=True)
    version = version_of(project, "diagnosis/1").version
    with project.database.read() as connection:
        (plan,) = rows.find(connection, Plan, environment="staging")
    endpoint = build(plan, {version.artifact: runtime_of(project, version)})
    (asked_row,) = endpoint.reader.read(json.dumps(patient).encode())
    at = project.clock.now()
    name = make(at, plan.number, 1, 1)
    asked = Asked(endpoint, [name], microseconds(at), [asked_row], "")
    (group,) = endpoint.answers([asked_row], [name]).groups()
    segment = Segment(project.segments, "staging-1")
    segment.append_all(lines_of(asked, group, Mask()))
    segment.close()
    return name


def test_a_predictions_page_leads_to_its_parts(client: httpx.Client, prediction: str) -> None:
    why = read(client, f"/why?ref={prediction}")
    path = f"/why?ref={prediction}&parts=1"

    assert path in [each["href"] for each in why.all("a")]
    page = read(client, path)
    for said in ("an average request", "together", "worst_texture", "in log-odds", "(linear)"):
        assert said in page.text


def test_what_is_no_prediction_has_no_parts(client: httpx.Client) -> None:
    assert client.get(f"/why?ref={'0' * 32}&parts=1").status_code == 404
    assert "What each field added" not in read(client, "/why?ref=diagnosis/1&parts=1").text
