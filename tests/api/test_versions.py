"""What the command line does with versions of datasets, the API does too."""

import os

import httpx
import pytest

from cd4ml.loop import Project
from cd4ml.loop.ingest import ingest
from tests.api.test_app import post
from tests.data.folders import lay_out
from tests.starter import ADMIN


@pytest.fixture
def two(project: Project) -> Project:
    """pictures@1 and pictures@2, with a name that is no text."""
    for number in (1, 2):
        lay_out(project.folder / "in", **{os.fsdecode(b"caf\xe9 \n"): b"%d" % number})
        ingest(project, "pictures", path="in", actor=ADMIN)
    return project


def test_a_log_has_the_newest_version_first(client: httpx.Client, two: Project) -> None:
    assert post(client, "/datasets/pictures@1/tag", tag="good")[0] == 200

    every = client.get("/api/datasets/pictures/log").json()
    newest = client.get("/api/datasets/pictures/log?limit=1").json()

    assert [(each["version"]["number"], each["tags"]) for each in every] == [(2, []), (1, ["good"])]
    assert newest == every[:1]


def test_files_have_names_that_are_text(client: httpx.Client, two: Project) -> None:
    (file,) = client.get("/api/datasets/pictures@1/files").json()["files"]

    assert (file["path"], file["size"]) == ("in/caf\\xe9 \n", 1)


def test_a_tag_is_given_and_taken_away(client: httpx.Client, two: Project) -> None:
    given = post(client, "/datasets/pictures@1/tag", tag="good")
    found = client.get("/api/datasets/pictures@good").json()["version"]["number"]
    taken = post(client, "/datasets/pictures/untag", tag="good")

    assert (given[0], given[1]["number"], found) == (200, 1, 1)
    assert taken == (200, "good")
    assert client.get("/api/datasets/pictures@good").status_code == 404
    assert post(client, "/datasets/pictures@1/tag", tag="7")[0] == 422


def test_bytes_are_verified_and_removed(client: httpx.Client, two: Project) -> None:
    rehearsed = post(client, "/datasets/gc", keep=1, dry_run=True)
    verified = post(client, "/datasets/verify", ref="pictures")
    done = post(client, "/datasets/gc", keep=1)
    after = post(client, "/datasets/verify")

    assert rehearsed == done
    assert done[1]["versions"] == ["pictures@1"]
    assert (verified[1]["n_versions"], verified[1]["damaged"]) == (2, [])
    assert after[1]["damaged"] == []
    removed = client.get("/api/datasets/pictures@1")
    assert removed.status_code == 404
    assert removed.json()["error"].startswith("pictures@1 was removed on ")


@pytest.mark.parametrize(
    ("path", "body"),
    [("tag", {"tag": "x"}), ("untag", {"tag": "x"})],
)
def test_whoever_is_not_known_changes_nothing(
    client: httpx.Client, two: Project, path: str, body: dict[str, str]
) -> None:
    for where, what in ((f"pictures/{path}", body), ("verify", {}), ("gc", {})):
        status, answer = post(client, f"/datasets/{where}", actor="mallory", **what)
        assert (status, answer["error"]) == (404, "nobody named 'mallory' works on this project")
    assert post(client, "/datasets/gc", keep=0)[0] == 422
