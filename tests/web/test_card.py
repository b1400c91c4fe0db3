"""A card as Markdown and as a page of its own: from records, escaped, complete."""

import re
from datetime import UTC, datetime
from typing import Any

import httpx
import msgspec

from cd4ml.loop import Project
from cd4ml.loop.card import Card, LearnedFrom, Taken, card
from cd4ml.loop.graduate import graduate
from cd4ml.loop.registry import describe, remove_alias, set_alias, tag
from cd4ml.records.behaviour import BehaviourEvidence, Load, Promise, Quantile, Response
from cd4ml.records.explanation import ExplanationEvidence, FieldImportance
from cd4ml.records.model_version import ModelVersion, RegisteredModel
from cd4ml.records.run import Run
from cd4ml.records.trust import Trust
from cd4ml.web.card import card_markdown, card_page
from tests.starter import ADMIN, finding
from tests.web.test_pages import HOSTILE, Document, read

NOW = datetime(2013, 1, 1, tzinfo=UTC)
WHO: dict[str, Any] = {"created_at": NOW, "created_by": "ann"}


def bare(text: str = "x", **changes: Any) -> Card:
    """The card of a version of which nothing is known but this text, wherever one can stand."""
    version = ModelVersion(
        model="delay", number=1, run=2, verdict=0, artifact="", contract="", source=text, **WHO
    )
    given = Card(
        model=RegisteredModel(name="delay", description=text, changed_at=NOW, **WHO),
        version=msgspec.structs.replace(version, description=text, tags={text: text}),
        aliases=(text,),
        written=text,
        takes=(Taken(name=text, takes=text, meaning=text),),
        answers=Taken(name=text, takes=text),
        packaged=None,
        run=Run(
            number=2,
            experiment=text,
            state="finished",
            parameters={text: text},
            started_at=NOW,
            created_by=text,
        ),
        metrics={text: 0.5, "none": None},
        data=(LearnedFrom(name=text, ref=text, digest=text, n_rows=1200),),
        lock="",
        verdicts=(),
        releases=(),
        estimator="blake3:e",
        is_ours=False,
        trust=Trust(digest="blake3:e", why=text, role=text, given_at=NOW, given_by=text),
        as_of=NOW,
    )
    return msgspec.structs.replace(given, **changes)


def test_the_markdown_holds_what_the_records_hold(project: Project) -> None:
    describe(project, "diagnosis/1", "Benign or not, of *fine-needle* images", actor=ADMIN)
    tag(project, "diagnosis/1", {"team": "pathology"}, actor=ADMIN)
    found = card(project, "diagnosis/1")

    text = card_markdown(found)

    assert text.startswith("# diagnosis/1\n\nBenign or not, of *fine-needle* images\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == [
        "Intended use and limits",
        "What it takes and answers",
        "What it was made of",
        "How good it is",
        "Slices",
        "Who agreed",
        "How it is loaded",
    ]
    assert "- tag team: pathology\n" in text
    assert f"| auc | {found.metrics['auc']:.4f} |" in text
    assert f"| patients | patients@1 | 569 | {found.data[0].digest} |" in text
    assert "- diagnosis.strength: 1.0\n" in text
    assert "| release/1 | staging | released |  |" in text
    assert "- may be loaded: a run of this project made it\n" in text
    assert "Nobody wrote anything." in text


def test_every_number_of_its_verdict_is_on_it(project: Project) -> None:
    found = card(project, "diagnosis/1")
    assert found.verdict is not None

    text, page = card_markdown(found), Document(card_page(found)).text

    for each in found.verdict.findings:
        assert each.value is not None
        assert f"| {each.gate} | {each.value:.4f} |" in text
        assert f"{each.value:.4f}" in page


def test_slices_stand_apart() -> None:
    known = card_with_slices()

    text = card_markdown(known)

    whole, sliced = text.split("## Slices")
    assert "| auc at least 0.6 | 0.7000 | 0.6800 to 0.7200 | 900 | pass |" in whole
    assert "carrier=AA" not in whole
    assert "| auc on carrier=AA | 0.6500 |" in sliced
    assert "| auc on a weak slice: carrier=UA | 0.5500 |" in sliced


def card_with_slices() -> Card:
    from cd4ml.records.verdict import Verdict

    sliced = msgspec.structs.replace(
        finding("auc on carrier=AA", 0.65, 0.6), slice="carrier=AA", is_gated=False
    )
    weak = msgspec.structs.replace(
        finding("auc on a weak slice", 0.55, 0.6), slice="carrier=UA", is_gated=False
    )
    verdict = Verdict(
        number=1,
        model="delay",
        run=2,
        artifact="",
        policy="",
        holdout="",
        findings=(finding("auc at least 0.6", 0.7, 0.6), sliced, weak),
        outcome="pass",
        judged_at=NOW,
        judged_by="ann",
    )
    return bare(verdicts=(verdict,))


def test_a_card_of_nothing_says_so() -> None:
    empty = bare(
        written="", takes=(), answers=None, run=None, metrics={}, data=(), estimator="", trust=None
    )

    text, page = card_markdown(empty), Document(card_page(empty)).text

    assert text.count("Nothing is recorded.") == 3
    for said in ("No gate was asked yet.", "It was never released."):
        assert said in text
        assert said in page


def test_who_answers_for_it_is_said() -> None:
    text = card_markdown(bare("bo"))

    assert "- may be loaded: bo answers for it as bo, since 1 Jan 2013, 00:00 UTC\n" in text
    assert "no: it was made elsewhere and nobody answers for it" in card_markdown(bare(trust=None))


def test_what_records_say_is_no_markup_of_markdown() -> None:
    text = card_markdown(bare("a|b *c*\n# d <e> [f](g) `h`", written=""))

    assert "- tag a|b \\*c\\* # d \\<e\\> \\[f\\](g) \\`h\\`: " in text
    assert "| a\\|b \\*c\\* # d \\<e\\> \\[f\\](g) \\`h\\` | a\\|b" in text


def test_the_headings_that_people_wrote_stand_below_ours() -> None:
    text = card_markdown(bare(written="# Use\nnone"))

    assert "## Intended use and limits\n\n### Use\nnone\n" in text


def test_a_page_needs_nothing_else(project: Project) -> None:
    html = card_page(card(project, "diagnosis/1"))
    page = Document(html)

    assert not {tag for tag, _ in page.tags} & {"script", "link", "img", "iframe", "a", "object"}
    assert len(page.all("style")) == len(page.all("h1")) == 1
    assert not any(word in html for word in ("http:", "https:", "@import", "url("))


def test_a_page_escapes_what_it_shows() -> None:
    html = card_page(bare(HOSTILE))

    assert HOSTILE not in html
    assert "<script" not in html
    assert Document(html).text.count(HOSTILE) > 10


def test_the_console_shows_the_card(client: httpx.Client) -> None:
    assert "/models/diagnosis/1/card" in [
        each["href"] for each in read(client, "/models/diagnosis/1").all("a")
    ]
    page = read(client, "/models/diagnosis/1/card")

    assert "Intended use and limits" in page.text
    assert "patients@1" in page.text


def test_the_console_has_no_card_of_what_is_not_there(client: httpx.Client) -> None:
    answer = client.get("/models/diagnosis/9/card")

    assert answer.status_code == 404
    assert "no model version &#39;diagnosis/9&#39;" in answer.text


def test_the_console_shows_how_names_moved(project: Project, client: httpx.Client) -> None:
    assert "No alias has pointed at it." in read(client, "/models/diagnosis/1").text
    graduate(project, "run/1", model="second", actor=ADMIN)
    set_alias(project, "second/1", "shadow", why=HOSTILE, actor=ADMIN)
    remove_alias(project, "second@shadow", actor=ADMIN)

    text = " ".join(read(client, "/models/second/1").text.split())

    assert "ann took away shadow from second/1" in text
    assert f"ann pointed shadow at second/1 {HOSTILE}" in text
    assert "second/1" in read(client, "/models").text


def evident(text: str = "wind") -> Card:
    """The card of a version that was explained, served, and held against groups of people."""
    known = card_with_slices()
    assert known.verdict is not None
    asked = finding("recall ratio at least 0.8 across sex", 0.9, 0.8)
    across = msgspec.structs.replace(asked, kind="fairness")
    shown = msgspec.structs.replace(
        finding("importance of wind by auc", 0.338, 0.0),
        metric="importance of wind",
        is_gated=False,
    )
    found = (*known.verdict.findings, across, shown)
    verdict = msgspec.structs.replace(known.verdict, findings=found)
    return msgspec.structs.replace(
        known,
        verdicts=(verdict,),
        explanation=ExplanationEvidence(
            artifact="",
            n_rows=200,
            method="linear",
            unit="log-odds",
            shares={text: 0.9145},
            metric="auc",
            level=0.8759,
            n_measured=500,
            importance=(FieldImportance(field=text, value=0.338, low=0.284, high=0.392),),
        ),
        behaviour=BehaviourEvidence(
            artifact="",
            runtime="onnx",
            source="production",
            n_rows=60,
            promises=(Promise(name="kept", n_tried=60), Promise(name=text, n_tried=9, n_broken=2)),
            responses=(
                Response(field=text, is_ordered=True, largest_change=0.97, largest_rise=0.97),
            ),
            load=Load(
                n_requests=500,
                seconds=1.0,
                p50_ms=Quantile(value=0.21),
                p99_ms=Quantile(value=0.58),
                memory_mb=104.8,
            ),
        ),
    )


def test_what_gates_have_seen_of_it_is_on_the_card() -> None:
    text = card_markdown(evident())

    assert "importance of wind by auc" not in text  # it has a table of its own
    assert text.partition("## Groups of people\n")[2].partition("\n## ")[0] == (
        "\n| asked | value | interval | rows | outcome |\n| --- | --- | --- | --- | --- |\n"
        "| recall ratio at least 0.8 across sex | 0.9000 | 0.8800 to 0.9200 | 900 | pass |\n"
    )
    assert text.partition("## What its answers hang on\n")[2].partition("\n## ")[0] == (
        "\n| field | share of what moves answers | worse without it | interval |\n"
        "| --- | --- | --- | --- |\n"
        "| wind | 91.5 % | 0.338 | 0.284 to 0.392 |\n\n"
        "Shares: 200 answers taken apart (linear, in log-odds). Importance: by how much auc "
        "(0.8759) gets worse on 500 rows when a field is shuffled among them.\n"
    )
    assert text.partition("## What it does when it is served\n")[2].partition("\n## ")[0] == (
        "\n- asked about: 60 requests of production, answered by the onnx model\n"
        "- promises kept: 1 of 2\n"
        "- broken: wind (2 of 9)\n"
        "- latency of a row: 0.21 ms, p99 0.58 ms, of 500\n"
        "- memory: 105 MB\n\n"
        "| field | moves an answer by | raises it by | lowers it by |\n"
        "| --- | --- | --- | --- |\n"
        "| wind | 0.97 | 0.97 | 0 |\n"
    )


def test_the_page_shows_it_too_and_escapes_it() -> None:
    html = card_page(evident(HOSTILE))

    assert HOSTILE not in html
    shown = Document(html).text
    for said in ("Groups of people", "91.5 %", "promises kept", "105 MB", "0.284 to 0.392"):
        assert said in shown


def test_what_could_not_be_explained_says_why() -> None:
    none = ExplanationEvidence(
        artifact="", shares={"wind": 1.0}, reason="no estimator", importance_reason="one class"
    )

    text = card_markdown(bare(explanation=none))

    assert "No answer could be taken apart: no estimator. " in text
    assert "No importance could be measured: one class." in text
