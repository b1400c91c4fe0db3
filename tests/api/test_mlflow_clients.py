import json
from pathlib import Path

import httpx
import pytest

from cd4ml.loop import open_project
from cd4ml.loop.people import add_person
from cd4ml.loop.registry import set_alias as move_alias
from cd4ml.loop.tokens import make_token
from cd4ml.models.manifest import PROBES, Manifest, Probes
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.records.model_version import ModelVersion
from cd4ml.records.run import Run
from cd4ml.store import rows
from tests.mlflow_clients import NEW, OLD, SKINNY, ended, lay_out, run, served, start
from tests.starter import ADMIN

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # the first makes the environments


IN_PARTS = {  # of 5 MB, as clients send what has more than 500 MB
    "MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD": "true",
    "MLFLOW_MULTIPART_UPLOAD_MINIMUM_FILE_SIZE": "10000000",
    "MLFLOW_MULTIPART_UPLOAD_CHUNK_SIZE": "5242880",
}


@pytest.mark.parametrize(
    ("client", "kind", "variables"),
    [
        (NEW, "sqlite", {}),
        (NEW, "postgres", IN_PARTS),
        (SKINNY, "sqlite", IN_PARTS),
        (OLD, "sqlite", {}),
    ],
)
def test_a_client_tracks_runs_and_finds_them_again(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    client: str,
    kind: str,
    variables: dict[str, str],
) -> None:
    database = request.getfixturevalue(f"{kind}_url")
    with served(lay_out(tmp_path / "flights"), CD4ML_DATABASE=database) as url:
        heard = run(client, "tracking.py", [url], **variables)

    assert heard.pop("refused") == {
        "param": "INVALID_PARAMETER_VALUE",
        "run": [
            "RESOURCE_DOES_NOT_EXIST",
            "RESOURCE_DOES_NOT_EXIST: no run '00000000000000000000000000000000' (hint: ids are "
            "run-1, run-2, ..., or those that were brought over)",
        ],
        "experiment": [
            "RESOURCE_ALREADY_EXISTS",
            "RESOURCE_ALREADY_EXISTS: an experiment named 'Flüge ✈' exists already",
        ],
        "filter": [
            "INVALID_PARAMETER_VALUE",
            "INVALID_PARAMETER_VALUE: invalid filter or order of runs 'metrics.loss ~ 3': what is "
            "'~ 3'? (hint: for example metrics.auc > 0.7 and params.depth = '3')",
        ],
        "token": "INVALID_PARAMETER_VALUE",
        "default": "INVALID_PARAMETER_VALUE",
        "tag": "RESOURCE_DOES_NOT_EXIST",
    }
    assert heard == {
        "metrics": {
            "loss": "0.2",
            "not a number": "nan",
            "far": "inf",
            "low": "-inf",
            "big": "1e+308",
        },
        "params": {"depth": "3", "name": "ü" * 50},
        "status": "FINISHED",
        "name": "erste Fahrt",
        "note": "was ich sah",
        "tag": "v",
        "team": "Zürich",
        "history": [[0, 1.0], [1, 0.5], [2, 1 / 3], [3, 0.25], [4, 0.2]],
        "files": ["d.json", "large.bin", "notes"],
        "below": ["notes/ä b.txt"],
        "text": "Grüße",
        "large": True,
        "many": [10_000, 999.0, "FAILED"],
        "points": 1_000,
        "pages": [[0.6, 0.5, 0.4, 0.3], [0.2, 0.1]],
        "found": {
            "params.depth = '3'": 1,
            "attributes.status = 'FAILED'": 1,
            "run_name LIKE 'n%'": 7,
            "tags.k = 'v' and metrics.loss < 0.5": 1,
            "run_id IN ('run-1', 'run-2')": 2,
            "params.depth != '3'": 0,
        },
        "deleted": 0,
        "gone": ["viele"],
        "restored": 1,
        "experiments": ["Default", "Flüge ✈"],
        "default": "Default",
        "renamed": True,
        "unknown": None,
    }


@pytest.mark.parametrize("client", [NEW, OLD])
def test_a_client_logs_registers_and_loads_models(client: str, tmp_path: Path) -> None:
    with served(lay_out(tmp_path / "flights")) as url:
        heard = run(client, "models.py", [url])

    refused = heard.pop("refused")
    assert refused == {
        "deleted": "RESOURCE_DOES_NOT_EXIST",
        "alias": "INVALID_PARAMETER_VALUE",
        "twice": "RESOURCE_ALREADY_EXISTS",
        "elsewhere": [
            "INVALID_PARAMETER_VALUE",
            "INVALID_PARAMETER_VALUE: the files of a version have to be in cd4ml, and "
            "'s3://bucket/model' is elsewhere (hint: log the model to this server, or cd4ml "
            "import mlmodel FOLDER)",
        ],
        "rename": [
            "NOT_IMPLEMENTED",
            "NOT_IMPLEMENTED: cd4ml does not rename models: what was decided about 'delay' names "
            "it so (hint: register its versions under the new name)",
        ],
        "stage": [
            "NOT_IMPLEMENTED",
            "NOT_IMPLEMENTED: cd4ml does not offer MLflow's stages (POST "
            "/api/2.0/mlflow/model-versions/transition-stage) (hint: MLflow gives them up too: use "
            "aliases)",
        ],
    }
    if client == NEW:
        assert heard.pop("logged")[:2] == ["model", 0.9]
        assert (heard.pop("same"), heard.pop("kind"), heard.pop("made")) == (True, "linear", True)
    assert heard == {
        "input": ["flights", [["mlflow.data.context", "training"], ["q", "1"]]],
        "auc": 1,  # the client says it again when it links it with the model
        "by uri": True,
        "by alias": True,
        "by number": "LogisticRegression",
        "model": ["which flights are late", {"owner": "ana"}, {"champion": "1"}, "2"],
        "version": ["1", "the first", {"gate": "pass"}, "READY"],
        "of run": True,
        "passed": ["1"],
        "all": ["1", "2"],
        "models": ["delay"],
        "newest": True,
        "autolog": ["0.5", True],
    }


def test_six_clients_that_begin_at_once_on_an_empty_database_lose_nothing(tmp_path: Path) -> None:
    with served(lay_out(tmp_path / "flights")) as url:
        six = [start(SKINNY, "one_of_six.py", url) for _ in range(6)]
        heard = [ended(each) for each in six]

    assert sorted(heard) == [[f"run-{i}", 100] for i in range(1, 7)]
    with open_project(tmp_path / "flights") as project, project.database.read() as connection:
        runs = rows.find(connection, Run)
    assert [run.state for run in runs] == ["finished"] * 6
    assert all(f"t{i}" in run.tags for run in runs for i in range(0, 100, 10))


def test_who_has_a_token_acts_under_their_name(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "flights")
    with open_project(folder) as project:
        add_person(project, "ana", roles=(), actor="ana")
        secret = make_token(project, "ana", actor="ana").secret
    with served(folder) as url:
        run(SKINNY, "one_of_six.py", [url], MLFLOW_TRACKING_TOKEN=secret)
        named = {"MLFLOW_TRACKING_USERNAME": "ana", "MLFLOW_TRACKING_PASSWORD": secret}
        run(SKINNY, "one_of_six.py", [url], **named)
        run(SKINNY, "one_of_six.py", [url])
        wrong = httpx.get(
            f"{url}/api/2.0/mlflow/experiments/get?experiment_id=0", auth=("ana", "guessed")
        )

    assert wrong.status_code == 401
    assert wrong.json() == {
        "error_code": "UNAUTHENTICATED",
        "message": "the token is nobody's (hint: cd4ml token create NAME makes another one)",
    }
    with open_project(folder) as project, project.database.read() as connection:
        assert [each.created_by for each in rows.find(connection, Run)] == ["ana", "ana", "mlflow"]
        ended_by = [
            entry.actor
            for entry in rows.find(connection, LedgerEntry)
            if entry.action == "run.finished"
        ]
    assert ended_by == ["ana", "ana", "mlflow"]


def test_a_version_of_the_pipeline_answers_in_mlflow_as_it_does_here(folder: Path) -> None:
    with open_project(folder) as project:
        with project.database.read() as connection:
            version = rows.get(connection, ModelVersion, "diagnosis", 1)
        manifest = project.blobs.get_record(version.artifact, Manifest)
        probes = project.blobs.get_record(manifest.files[PROBES], Probes)
        move_alias(project, "diagnosis/1", "challenger", actor=ADMIN)
    asked = [row for row in probes.rows if None not in row.values()][:20]
    expected = [probes.scores[probes.rows.index(row)] for row in asked]

    with served(folder) as url:
        answers = run(NEW, "loads.py", [url, "models:/diagnosis@challenger", json.dumps(asked)])

    assert answers == pytest.approx(expected, abs=1e-9)
