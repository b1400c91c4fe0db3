"""What each field added, over HTTP."""

from typing import Any

import httpx
import pytest

from cd4ml.loop import Project
from cd4ml.loop.candidate import candidate_of, table
from tests.api.test_app import post


@pytest.fixture
def row(project: Project) -> dict[str, Any]:
    """A patient of the starter's holdout."""
    holdout = table(project, candidate_of(project, 1).holdout)
    return holdout.drop("malignant").row(0, named=True)


def test_a_version_explains_rows(client: httpx.Client, row: dict[str, Any]) -> None:
    status, (found,) = post(client, "/explain", ref="diagnosis/1", rows=[row])

    assert status == 200
    assert found["version"] == "diagnosis/1"
    explained = found["explained"]
    parts = sum(each["amount"] for each in explained["contributions"])
    assert explained["base"] + parts == pytest.approx(explained["raw"])


def test_what_is_no_row_is_refused(client: httpx.Client, row: dict[str, Any]) -> None:
    status, said = post(client, "/explain", ref="diagnosis/1", rows=[{**row, "mean_radius": "x"}])

    assert status == 422
    assert 'mean_radius: expected a number, got "x"' in said["error"]


def test_a_prediction_that_nobody_made_is_not_found(client: httpx.Client) -> None:
    answer = client.get(f"/api/explain/{'0' * 32}")

    assert answer.status_code == 404
    assert answer.json()["hint"] == "was it answered by this project?"
