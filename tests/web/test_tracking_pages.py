"""The console's runs: found, drawn, with the files they logged."""

import httpx
import pytest

import cd4ml
from cd4ml.loop import Project
from tests.starter import ADMIN

HOSTILE = "<script>alert('x')</script>"


@pytest.fixture
def logged(project: Project) -> int:
    """The number of a run that logged everything."""
    with cd4ml.run("curves", name=HOSTILE, project=project.folder, actor=ADMIN) as run:
        for step in range(50):
            run.log({"val/loss": 1 / (step + 1), HOSTILE: 1.0, "gone": None})
        run.log_parameters({HOSTILE: HOSTILE})
        run.tag({"team": HOSTILE})
        run.note(HOSTILE)
        run.log_text("<svg/>", "a b/curve.svg")
        run.log_text(HOSTILE, "page.html")
        return run.number


def test_a_run_shows_its_curves_and_what_it_logged(client: httpx.Client, logged: int) -> None:
    page = client.get(f"/runs/{logged}").text

    assert 'aria-label="val/loss: 50 points, 0.02 at step 49"' in page
    assert f'src="/runs/{logged}/files/a%20b/curve.svg"' in page
    assert "<dt>tag team</dt>" in page
    assert "<script>alert" not in page


def test_a_logged_file_is_saved_and_only_a_picture_is_shown(
    client: httpx.Client, logged: int
) -> None:
    picture = client.get(f"/runs/{logged}/files/a%20b/curve.svg")
    page = client.get(f"/runs/{logged}/files/page.html")
    missing = client.get(f"/runs/{logged}/files/none.txt")

    assert (picture.text, picture.headers["content-type"]) == ("<svg/>", "image/svg+xml")
    assert page.text == HOSTILE
    assert page.headers["content-type"] == "application/octet-stream"
    assert page.headers["content-disposition"] == "attachment; filename*=UTF-8''page.html"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert missing.status_code == 404


def test_runs_are_filtered_and_sorted(client: httpx.Client, logged: int) -> None:
    found = client.get("/runs", params={"where": "metrics.`val/loss` < 0.1"}).text
    none = client.get("/runs", params={"where": "metrics.`val/loss` > 0.1"}).text
    best = client.get("/runs", params={"sort": "metrics.`val/loss`"}).text

    assert f'href="/runs/{logged}"' in found
    assert "No run is let through." in none
    assert best.index(f'href="/runs/{logged}"') < best.index('href="/runs/1"')


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({"where": "metrics.auc >> 1"}, "expected a value, got &#39;&gt;&#39;"),
        ({"sort": "nothing"}, "expected a field, got &#39;nothing&#39;"),
        ({"where": "metrics.nothing > 1"}, "no run has the metric &#39;nothing&#39;"),
    ],
)
def test_a_mistake_is_shown_beside_what_was_typed(
    client: httpx.Client, params: dict[str, str], said: str
) -> None:
    answer = client.get("/runs", params=params)

    assert answer.status_code == 200
    assert said in answer.text
    assert f'value="{next(iter(params.values())).replace(">", "&gt;")}"' in answer.text


def test_each_run_stands_once_in_the_list(client: httpx.Client, logged: int) -> None:
    page = client.get("/runs").text

    assert page.count("<table") == 1
    assert page.count(f">run/{logged}</a>") == 1


def test_many_runs_come_in_pages(
    client: httpx.Client, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cd4ml.web.runs.MANY", 1)
    with cd4ml.run("more", project=project.folder, actor=ADMIN):
        pass

    first = client.get("/runs", params={"sort": "number desc"}).text
    second = client.get("/runs", params={"sort": "number desc", "skip": "1"}).text

    assert '<a href="/runs?sort=number+desc&amp;skip=1">After</a>' in first
    assert '<a href="/runs?sort=number+desc&amp;skip=0">Before</a>' in second
