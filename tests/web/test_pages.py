import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from cd4ml.errors import PipelineError
from cd4ml.loop import Project, open_project
from cd4ml.loop.audit import checkpoint
from cd4ml.loop.audit_keys import make_key
from cd4ml.loop.evaluate import evaluate
from cd4ml.loop.ingest import ingest
from cd4ml.loop.init import begin
from cd4ml.loop.people import add_person
from cd4ml.loop.promote import approve, reject, request
from cd4ml.loop.train import train
from cd4ml.store import rows
from cd4ml.web.pages import PAGES
from tests.browser import browser
from tests.starter import ADMIN, MANAGER, alert, begin_canary, measured

HOSTILE = "<script>alert('x')</script>\"'"

VOID = {"meta", "link", "img", "input", "br", "rect", "line", "polygon", "polyline"}

PATHS = [
    "/",
    "/data",
    "/data/patients@1",
    "/diff?before=patients@1&after=patients@1",
    "/runs",
    "/runs?experiment=default",
    "/runs/1",
    "/compare?run=1&run=1",
    "/searches",
    "/searches/1",
    "/models",
    "/models/diagnosis/1",
    "/models/diagnosis/1/card",
    "/releases",
    "/releases/2",
    "/verdicts",
    "/verdicts/1",
    "/monitoring",
    "/delivery",
    "/delivery?by=day",
    "/delivery?at=2013-03-03+14:00",
    "/ledger",
    "/ledger?subject=release/2",
    "/why",
    "/why?ref=diagnosis/1",
    "/lineage",
    "/lineage?of=patients@1",
    "/lineage?of=diagnosis/1&way=up",
    "/data?query=patient",
    "/data?query=nothing",
]


class Document(HTMLParser):
    """A page as tags; it notices tags that are not closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self._open: list[str] = []
        self.text = ""
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        name = f"svg {tag}" if tag == "title" and "svg" in self._open else tag
        self.tags.append((name, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.tags if name == tag]


def read(client: httpx.Client, path: str) -> Document:
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return Document(answer.text)


@pytest.mark.parametrize("path", PATHS)
def test_every_page_has_one_heading_landmarks_and_no_inline_code(
    client: httpx.Client, path: str
) -> None:
    page = read(client, path)
    outside = Document(re.sub("<svg.*?</svg>", "", client.get(path).text, flags=re.DOTALL))

    assert [len(outside.all(tag)) for tag in ("main", "h1", "nav", "title")] == [1, 1, 1, 1]
    assert page.all("html")[0]["lang"] == "en"
    assert all("style" not in attributes for _, attributes in page.tags)
    assert not any(name.startswith("on") for _, attributes in page.tags for name in attributes)
    assert page.all("script") == [{"src": "/static/cd4ml.js", "type": "module"}]
    assert page.all("style") == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_every_page_is_tried() -> None:
    patterns = [re.sub(r"{\w+}", "[^/]+", page.path) for page in PAGES]

    for pattern in patterns:
        assert any(re.fullmatch(pattern, path.partition("?")[0]) for path in PATHS), pattern


def test_every_link_leads_somewhere(client: httpx.Client) -> None:
    known, waiting = set(), {"/"}
    while waiting:
        path = waiting.pop()
        known.add(path)
        page = read(client, path)
        targets = {each["href"] for each in [*page.all("a"), *page.all("link")]}
        targets |= {each["src"] for each in [*page.all("script"), *page.all("img")]}
        for target in {urljoin(path, each).partition("#")[0] for each in targets} - known:
            if target.startswith("/static/"):
                assert client.get(target).status_code == 200
            else:
                assert target.startswith("/")
                waiting.add(target)

    assert {"/models/diagnosis/1", "/releases/2", "/data/patients@1", "/runs/1"} <= known


def test_the_loop_is_shown_in_its_order(client: httpx.Client) -> None:
    page = read(client, "/")

    stages = [each["id"] for each in page.all("li") if "stage" in each.get("class", "").split()]
    names = "data pipeline experiments gates release serving monitoring feedback"
    assert stages == names.split()
    assert "release/2 waits for approval" in page.text
    assert "and back into data" in page.text


def test_a_rollout_shows_who_answers_how_much(client: httpx.Client, project: Project) -> None:
    begin_canary(project, weight_percent=25)

    page = read(client, "/")

    widths = {each["class"]: float(each["width"]) for each in page.all("rect")}
    assert widths["canary"] == 25.0
    assert "diagnosis/2 canary, 25 % of requests" in " ".join(page.text.split())
    assert "diagnosis/3 shadow, answers unused" in " ".join(page.text.split())
    labels = [each.get("aria-label", "") for each in page.all("svg")]
    assert "Share of requests: diagnosis/1 75 percent, diagnosis/2 25 percent" in labels


def test_what_answers_is_shown_while_another_release_waits(
    client: httpx.Client, project: Project
) -> None:
    approve(project, "release/2", reason="good", actor=MANAGER)
    train(project, overrides={"diagnosis.strength": 0.5}, actor=ADMIN)
    evaluate(project, "run/2", actor=ADMIN)
    request(project, "diagnosis/2", to="staging", actor=ADMIN)
    request(project, "diagnosis/2", to="production", actor=ADMIN)

    shown = " ".join(read(client, "/").text.split())

    assert "production release/2 released diagnosis/1 champion, 100 % of requests" in shown
    assert "release/4 (diagnosis/2) waits for 1 approval by release-manager" in shown
    assert "Nothing is released here yet." not in shown


def test_an_environment_where_nothing_answers_yet_says_what_waits(client: httpx.Client) -> None:
    shown = " ".join(read(client, "/").text.split())

    assert "production Nothing is released here yet." in shown
    assert "release/2 (diagnosis/1) waits for 1 approval by release-manager" in shown


def test_a_failed_step_shows_its_traceback_line_by_line(
    client: httpx.Client, project: Project
) -> None:
    with pytest.raises(PipelineError):
        train(project, overrides={"diagnosis.strength": -1.0}, actor=ADMIN)

    html = client.get("/runs/2").text

    page = Document(html)
    (traceback,) = re.findall(r"<pre[^>]*><code>(.*?)</code></pre>", html, re.DOTALL)
    assert "pipeline.py" in traceback
    assert traceback.count("\n") > 3
    assert "json" not in page.text


def test_production_is_drawn_window_by_window(client: httpx.Client, project: Project) -> None:
    with project.database.write() as connection:
        rows.insert(connection, measured(2, 0.63))
        rows.insert(connection, measured(3, 0.61))
        rows.insert(connection, alert("temp drifts"))

    page = read(client, "/")

    labels = [each.get("aria-label", "") for each in page.all("svg")]
    assert "auc: 0.630 on 1 Feb, 0.610 on 1 Mar" in labels
    assert len(page.all("circle")) == 2
    assert "trivial model" in page.text
    assert "temp drifts" in page.text
    page = read(client, "/monitoring")
    assert "1 Mar 2013 to 1 Apr 2013, diagnosis/1 in production" in " ".join(page.text.split())
    assert "auc as at release" in page.text


def test_files_that_are_no_table_are_shown_without_rows_and_columns(
    client: httpx.Client, project: Project
) -> None:
    folder = project.folder / "pictures"
    folder.mkdir()
    (folder / "cat.png").write_bytes(b"\x89PNG")
    (folder / "dog.png").write_bytes(b"\x89PNG...")
    ingest(project, "pictures", path="pictures", keeping="reference", actor=ADMIN)

    listed, page = read(client, "/data"), read(client, "/data/pictures@1")

    assert "/data/pictures@1" in {each["href"] for each in listed.all("a")}
    words = " ".join(page.text.split())
    assert "Files2, 11 B" in words
    assert f"Left in{project.folder}" in words
    assert "Rows" not in page.text
    assert page.all("table") == []


def test_hostile_words_are_only_words(folder: Path, project: Project) -> None:
    add_person(project, HOSTILE, roles=("release-manager", HOSTILE), actor=ADMIN)
    reject(project, "release/2", reason=HOSTILE, actor=MANAGER)
    request(project, "diagnosis/1", to="production", reason=HOSTILE, actor=ADMIN)
    with project.database.write() as connection:
        rows.insert(connection, alert(HOSTILE))

    with browser(project) as client:
        for path in (*PATHS, "/releases/3", "/why?ref=release/3"):
            assert "<script>alert" not in client.get(path).text
        answer = client.get("/why", params={"ref": HOSTILE})

    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert Document(answer.text).all("input")[0]["name"] == "ref"


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/runs/99",
        "/runs?experiment=nope",
        "/ledger?subject=nope/9",
        "/models/x/1",
        "/releases/99",
        "/data/none",
        "/why?ref=run/99",
        "/lineage?of=run/99",
    ],
)
def test_what_is_not_there_is_a_page_that_says_so(client: httpx.Client, path: str) -> None:
    answer = client.get(path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert len(Document(answer.text).all("main")) == 1


@pytest.mark.parametrize("path", ["/static/../console.py", "/static/%2e%2e/console.py", "/static/"])
def test_only_the_console_s_own_files_are_handed_out(client: httpx.Client, path: str) -> None:
    assert client.get(path).status_code == 404


def test_a_bug_is_a_page_too(
    project: Project, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(_project: Project) -> None:
        raise ZeroDivisionError("a secret")

    monkeypatch.setattr("cd4ml.web.releases.releases", break_down)

    answer = client.get("/releases")

    assert answer.status_code == 500
    assert "a bug of cd4ml: ZeroDivisionError" in answer.text
    assert "secret" not in answer.text


def test_a_release_that_waits_can_be_decided_on_its_page(client: httpx.Client) -> None:
    page = read(client, "/releases/2")

    (form,) = [each for each in page.all("form") if "data-release" in each]
    assert form["data-release"] == "/api/releases/2"
    assert {each["name"] for each in page.all("input")} == {"ref", "actor", "reason"}
    assert 'cd4ml approve release/2 --reason "..." --as NAME' in page.text


def test_what_can_be_done_with_a_release_is_on_its_page(client: httpx.Client) -> None:
    waiting, in_charge = read(client, "/releases/2"), read(client, "/releases/1")

    assert [each["value"] for each in waiting.all("button") if each.get("value")] == [
        "approve",
        "request-changes",
        "reject",
        "withdraw",
        "abort",
    ]
    assert [each["value"] for each in in_charge.all("button") if each.get("value")] == ["undo"]
    assert "Evidence: verdict/1 pass" in waiting.text


def test_the_ledger_says_when_it_was_signed(client: httpx.Client, project: Project) -> None:
    assert "Nothing of it is signed yet: cd4ml audit key" in read(client, "/ledger").text
    make_key(project, actor=ADMIN)
    made = checkpoint(project, actor=ADMIN)
    assert f": {made.ref}." in read(client, "/ledger").text


def test_a_release_is_requested_on_the_page_of_its_version(client: httpx.Client) -> None:
    page = read(client, "/models/diagnosis/1")

    (form,) = [each for each in page.all("form") if "data-offer" in each]
    assert form["data-offer"] == "diagnosis/1"
    assert len(page.all("option")) == 2  # staging and production


def test_without_javascript_the_page_still_refreshes(client: httpx.Client) -> None:
    html = client.get("/").text

    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in html


def test_what_refreshes_has_a_name(client: httpx.Client) -> None:
    for path in PATHS:
        if path.startswith("/diff"):
            continue  # versions never change
        live = [each for _, each in read(client, path).tags if "data-live" in each]
        assert [each["id"] for each in live] == ["main", "clock"]


def test_an_empty_project_is_a_page_as_well(tmp_path: Path) -> None:
    from cd4ml.loop import open_project
    from cd4ml.loop.init import init

    init(tmp_path / "new", name="new", actor=ADMIN)
    with open_project(tmp_path / "new") as project, browser(project) as client:
        for path in ("/", "/data", "/runs", "/models", "/releases", "/ledger"):
            assert read(client, path).text


def test_lineage_is_a_picture_with_links_and_the_same_in_words(client: httpx.Client) -> None:
    page = read(client, "/lineage?of=patients@1&way=down")

    (drawing,) = [each for each in page.all("svg") if "lineage" in each.get("class", "")]
    assert drawing["role"] == "group"
    assert drawing["aria-label"].startswith("Lineage of patients@1: it comes from 0 things, ")
    links = [each["href"] for each in page.all("a")]
    assert "/lineage?of=diagnosis%2F1" in links
    assert "staging" in page.text
    assert "you: owns patients" in page.text
    (chosen,) = [each for each in page.all("option") if "selected" in each]
    assert chosen["value"] == "down"


def test_lineage_of_a_hostile_name_is_a_page_that_says_so(client: httpx.Client) -> None:
    answer = client.get("/lineage", params={"of": HOSTILE, "column": HOSTILE, "way": HOSTILE})

    assert answer.status_code in (404, 422)
    assert "<script>alert" not in answer.text


def test_a_dataset_is_found_by_its_words(client: httpx.Client) -> None:
    assert "patients@1" in read(client, "/data?query=breast+mean").text
    assert "Nothing has all of these words." in read(client, "/data?query=nothing").text


def test_restricted_data_is_shown_without_values(folder: Path) -> None:
    from cd4ml.loop import open_project
    from cd4ml.loop.ingest import ingest, show_dataset

    file = folder / "cd4ml.toml"
    said = '[data.patients]\nreaders = ["medic"]\npersonal = ["mean_radius"]\n'
    file.write_text(file.read_text().replace("[data.patients]\n", said))
    with open_project(folder) as project, browser(project) as client:
        before = f"{show_dataset(project, 'patients', actor=ADMIN).version.columns[0].maximum:.4f}"
        ingest(project, "patients", actor=ADMIN)
        page = read(client, "/data/patients@1")
        nobody = client.get("/api/datasets/patients").json()
        admin = client.get("/api/datasets/patients", headers={"cd4ml-actor": ADMIN}).json()
        listed = client.get("/api/datasets").json()
        log = client.get("/api/datasets/patients/log").json()
        profile = client.get("/api/datasets/patients@1/profile")
        hers = client.get("/api/datasets/patients@1/profile", headers={"cd4ml-actor": ADMIN})

    assert {column["maximum"] for column in log[0]["version"]["columns"]} == {None}
    assert (profile.status_code, hers.status_code) == (403, 200)
    assert "patients is restricted, and nobody says who reads it" in profile.text
    assert "Restricted: the console shows no value of it." in page.text
    assert before not in page.text
    assert "personal" in page.text
    assert {column["maximum"] for column in nobody["version"]["columns"]} == {None}
    assert {column["maximum"] for column in listed[0]["newest"]["columns"]} == {None}
    assert admin["version"]["columns"][0]["maximum"] is not None


WITHOUT_ASKING = [page.path for page in PAGES if "{" not in page.path and page.path != "/diff"]


@pytest.mark.parametrize("path", WITHOUT_ASKING)
def test_a_project_that_has_nothing_yet_has_every_page(path: str, tmp_path: Path) -> None:
    begin(tmp_path, name="bare", actor=ADMIN)

    with open_project(tmp_path) as bare, browser(bare) as client:
        assert "Back to the loop" not in read(client, path).text
