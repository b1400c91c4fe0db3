"""The page on which people try an endpoint: its form is the contract, and it needs no network."""

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cd4ml.records.contract import Contract, Field
from cd4ml.records.plan import Plan
from cd4ml.serving.endpoint import Endpoint, build
from cd4ml.serving.openapi import openapi
from cd4ml.serving.try_page import try_page
from cd4ml.serving.watcher import Watcher
from cd4ml.store.project import open_project
from tests.models.builders import AT, CONTRACT, LENIENT, boosted, fit, packaged
from tests.serving.builders import Caller, Released, arm


class Seen(HTMLParser):
    """What a browser would make of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.controls: dict[str, dict[str, str | None]] = {}
        self.options: dict[str, list[str]] = {}
        self.outside: list[str] = []
        self.tags: list[str] = []
        self.words = ""
        self._field = self._list = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append(tag)
        self._field = given.get("data-name") or self._field
        if tag in ("input", "select") and (given.get("id") or "").startswith("field-"):
            self.controls[self._field] = given
        if tag == "option":
            self.options.setdefault(self._field, []).append(given.get("value") or "")
        for name in ("src", "href", "action"):
            if given.get(name, "").startswith(("http", "//")):
                self.outside.append(f"{tag} {given[name]}")

    def handle_data(self, data: str) -> None:
        self.words += data


def endpoint_of(folder: Path, contract: Contract, model: Any = None) -> Endpoint:
    made = packaged(folder, model or boosted(), contract=contract)
    plan = Plan(
        number=1,
        environment="production",
        model="delay",
        arms=(arm(made.artifact),),
        release=1,
        made_at=AT,
    )
    return build(plan, {made.artifact: made.load()})


def test_the_form_has_each_field_with_a_row_of_the_training_data(caller: Caller) -> None:
    reply = caller.get("/")
    page = Seen(reply.body.decode())

    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert list(page.controls) == list(CONTRACT.names)
    example = caller.get("/openapi.json").json["paths"]["/predict"]["post"]["requestBody"]
    (row,) = example["content"]["application/json"]["example"]["rows"]
    for name in ("hour", "wind"):
        assert page.controls[name]["value"] == str(row[name])
    assert page.controls["temp"]["placeholder"] == "null"
    assert page.options["dest"] == ["BOS", "ORD"]
    assert "a number from -50 to 130 F, or null" in page.words
    assert "select" in page.tags  # the carrier is one of a closed list


def test_the_page_asks_nobody_else(caller: Caller) -> None:
    text = caller.get("/").body.decode()

    assert Seen(text).outside == []
    assert not re.findall(r"(?:url\(|@import|https?://)", text)


def test_what_is_forgiven_is_said_at_the_field(tmp_path: Path) -> None:
    page = Seen(try_page(endpoint_of(tmp_path, LENIENT)))

    assert "an integer from 0 to 23; values beyond are clipped" in page.words
    assert "; null is taken for 7.5, values beyond are clipped" in page.words
    assert page.tags.count("select") == 0  # other carriers may be typed
    assert "password" not in page.words


def test_names_of_a_contract_are_never_markup(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><img src=x>"
    fields = (
        *CONTRACT.fields,
        Field(evil, "string", nullable=True, optional=True, description=evil),
    )
    contract = msgspec.structs.replace(CONTRACT, fields=CONTRACT.fields, description=evil)
    endpoint = endpoint_of(tmp_path, contract)
    endpoint.contract.contract = msgspec.structs.replace(contract, fields=fields)

    text = try_page(endpoint)
    page = Seen(text)

    assert page.tags.count("script") == 2
    assert "img" not in page.tags
    assert list(page.controls) == [*CONTRACT.names, evil]


def test_where_a_token_is_needed_the_form_asks_for_it_and_shows_no_row(tmp_path: Path) -> None:
    page = Seen(try_page(endpoint_of(tmp_path, CONTRACT), needs_token=True))

    assert "one that may ask here" in page.words
    assert page.controls["hour"]["value"] == "0"


def test_a_model_that_cannot_be_taken_apart_says_why(tmp_path: Path) -> None:
    from sklearn.impute import SimpleImputer
    from sklearn.neural_network import MLPClassifier

    network = fit(MLPClassifier((2,), max_iter=300, random_state=0), numbers=SimpleImputer())

    page = Seen(try_page(endpoint_of(tmp_path, CONTRACT, network)))

    assert "Not here: MLPClassifier is no ensemble of trees that can be taken apart." in page.words


ASK = """
const made = (name, type, value) => ({{ dataset: {{ name, type }}, value }});
const controls = {controls};
global.document = {{
  getElementById: (id) => ({{ textContent: '{{"label": "late"}}', addEventListener() {{}} }}),
  querySelectorAll: () => controls.map((each) => ({{ dataset: each.dataset, querySelector: () => each }})),
}};
{{
{script}
console.log(body());
}}
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="node runs the page's script")
def test_the_script_sends_values_as_the_contract_has_them() -> None:
    file = Path(__file__).parents[2] / "src/cd4ml/serving/page/try.js"
    script = file.read_text().replace('"use strict";', "")
    texts = [
        ("hour", "integer", "9007199254740993"),  # one more than a float can tell
        ("temp", "number", ""),
        ("wind", "number", " 8.50 "),
        ("far", "number", "1e999"),
        ("noon", "integer", "noon"),
        ('qu"ote', "string", 'a"b\\'),
        ("is_late", "boolean", "true"),
    ]
    controls = ", ".join(f"made({', '.join(map(json.dumps, each))})" for each in texts)
    program = ASK.format(controls=f"[{controls}]", script=script)

    ran = subprocess.run(["node", "-e", program], capture_output=True, text=True, check=True)

    assert '"hour": 9007199254740993' in ran.stdout
    assert json.loads(ran.stdout) == {
        "hour": 9007199254740993,
        "temp": None,
        "wind": 8.5,
        "far": "1e999",
        "noon": "noon",
        'qu"ote': 'a"b\\',
        "is_late": True,
    }


def test_no_value_of_a_real_row_is_shown_of_a_private_field(tmp_path: Path) -> None:
    """Neither as the example, nor among the texts that an open field was seen with."""
    fields = tuple(
        msgspec.structs.replace(field, open=True, categories=(*field.categories, "ZZ-483"))
        if field.name == "carrier"
        else field
        for field in CONTRACT.fields
    )
    opened = msgspec.structs.replace(CONTRACT, fields=fields)
    made = packaged(tmp_path, boosted(), contract=opened)
    plan = Plan(
        number=1,
        environment="production",
        model="delay",
        arms=(arm(made.artifact),),
        release=1,
        made_at=AT,
    )
    endpoint = build(plan, {made.artifact: made.load()})
    endpoint.example.update(carrier="ZZ-483", temp=31.25)

    public = try_page(endpoint) + json.dumps(openapi(endpoint))
    private = {"carrier", "temp"}
    page = try_page(endpoint, private=private)
    described = json.dumps(openapi(endpoint, private=private))

    assert "ZZ-483" in public
    assert "31.25" in public
    for text in (page, described):
        assert "ZZ-483" not in text
        assert "31.25" not in text
    assert '"carrier": "text"' in described
    assert (
        endpoint.example["hour"]
        == json.loads(described)["paths"]["/predict"]["post"]["requestBody"]["content"][
            "application/json"
        ]["example"]["rows"][0]["hour"]
    )


def test_masked_and_personal_fields_are_private(project: Released) -> None:
    (project.folder / "cd4ml.toml").write_text(
        '[project]\nname = "flights"\n[capture]\nredact = ["temp"]\nhash = ["carrier"]\n'
        'person = "hour"\n'
        '[data.flights]\npath = "flights.csv"\npersonal = ["dest"]\n'
    )

    watcher = Watcher(open_project(project.folder), "production", "worker", "http://127.0.0.1:1")

    assert watcher.private == {"temp", "carrier", "hour", "dest"}
