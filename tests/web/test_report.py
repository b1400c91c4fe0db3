"""A diff as a file: everything inside, everything escaped."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from cd4ml.loop import Project
from cd4ml.loop.ingest import ingest
from cd4ml.records.diff import (
    Bars,
    CellChange,
    ColumnChange,
    DatasetDiff,
    FileChange,
    FileDiff,
    RowChange,
    RowDiff,
    Shift,
)
from cd4ml.records.summary import Bar
from cd4ml.web import report
from cd4ml.web.bars import HEIGHT, histogram, two_histograms
from cd4ml.web.report import diff_report
from tests.starter import ADMIN
from tests.web.test_pages import HOSTILE, Document, read

STYLE = Path(report.__file__).parent / "static" / "cd4ml.css"


def found(text: str = "x", **rows: Any) -> DatasetDiff:
    """A diff with the text wherever one can stand."""
    cell = CellChange(column=text, before=text, after=None)
    return DatasetDiff(
        before=text,
        after=text,
        files=FileDiff(
            n_added=1, n_removed=0, n_changed=0, n_renamed=1, n_same=0,
            listed=(FileChange(change="renamed", path=text, path_before=text, size_after=5),),
        ),
        columns=(ColumnChange(change="retyped", column=text, before=text, after=text),),
        rows=RowDiff(
            key=(text,), n_before=2, n_after=2, n_added=0, n_removed=0, n_changed=1, n_same=1,
            n_unmatched_before=2, duplicates=((text,),), changed_in=((text, 1),),
            left_out=(text,),
            samples=(RowChange(change="changed", key=(text, None), cells=(cell,)),),
        ),
        shifts=(
            Shift(
                column=text, kind="category", unit=text, outcome="alarm", reason=text,
                stability=0.3, mean_before=1.0, mean_after=2.0,
                bars=(Bars(label=text, before=3, after=0),),
            ),
        ),
    )  # fmt: skip


def test_a_report_needs_nothing_else() -> None:
    page = Document(diff_report(found()))

    names = {tag for tag, _ in page.tags}
    assert not names & {"script", "link", "img", "iframe", "a", "object"}
    assert not any({"src", "href", "style"} & set(attributes) for _, attributes in page.tags)
    assert len(page.all("style")) == len(page.all("h1")) == 1
    assert not any(word in diff_report(found()) for word in ("http:", "https:", "@import", "url("))


def test_the_style_cannot_end_before_its_end() -> None:
    assert "<" not in STYLE.read_text()
    assert STYLE.read_text() in diff_report(found())


def test_what_the_data_say_is_escaped() -> None:
    html = diff_report(found(HOSTILE))

    assert HOSTILE not in html
    assert "<script" not in html
    assert Document(html).text.count(HOSTILE) > 10


def test_values_are_shown_with_what_they_became() -> None:
    text = " ".join(Document(diff_report(found())).text.split())

    assert "x x \u2192 null" in text
    assert "their key is not unique, as x" in text
    assert "x: 100.0 % before, 0.0 % after" in text


def test_an_empty_diff_is_a_page() -> None:
    files = FileDiff(n_added=0, n_removed=0, n_changed=0, n_renamed=0, n_same=3, listed=())

    page = Document(diff_report(DatasetDiff(before="a@1", after="a@2", files=files)))

    assert "3 the same" in page.text
    assert "Rows" not in page.text


def test_bars_are_as_high_as_their_share() -> None:
    drawn = histogram(
        [Bar(label="a", n_rows=1), Bar(label="b", n_rows=4), Bar(label="c", n_rows=0)]
    )

    assert [each.height for each in drawn.rectangles] == [HEIGHT / 4, HEIGHT, 0]
    assert [each.y + each.height for each in drawn.rectangles] == [HEIGHT] * 3
    assert [each.sentence for each in drawn.rectangles] == ["a: 1", "b: 4", "c: 0"]
    assert drawn.sentence == "3 bars from a to c"


def test_two_histograms_are_compared_by_shares() -> None:
    bars = [Bars(label="a", before=1, after=30), Bars(label="b", before=1, after=10)]

    drawn = two_histograms(bars)

    heights = {(each.name, each.x): each.height for each in drawn.rectangles}
    assert [name for name, _ in heights] == ["before", "after"] * 2
    assert list(heights.values()) == pytest.approx([26.67, HEIGHT, 26.67, 13.33], abs=0.01)


def test_nothing_has_no_bars() -> None:
    for drawn in (histogram([]), two_histograms([])):
        assert (drawn.rectangles, drawn.sentence) == ([], "no values")
    drawn = two_histograms([Bars(label="a", before=0, after=0)])
    assert [each.height for each in drawn.rectangles] == [0, 0]


def test_a_dataset_shows_its_histograms_and_what_changed(
    client: httpx.Client, project: Project
) -> None:
    path = project.folder / "data" / "patients.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:500]) + "\n")
    ingest(project, "patients", actor=ADMIN)

    page = read(client, "/data/patients@2")

    assert len([each for each in page.all("svg") if each["class"] == "histogram"]) > 5
    target = "/diff?before=patients%401&after=patients%402"
    assert target in [each["href"] for each in page.all("a")]
    assert "told apart by" in read(client, target).text.lower()


def test_a_diff_is_not_computed_again_every_other_second(client: httpx.Client) -> None:
    page = read(client, "/diff?before=patients@1&after=patients@1")

    (main,) = page.all("main")
    assert "data-live" not in main
    assert not [each for each in page.all("meta") if each.get("http-equiv") == "refresh"]


def test_a_diff_of_what_is_not_there_says_so(client: httpx.Client) -> None:
    for query in ("", "?before=patients@1", "?before=patients@1&after=patients@9"):
        answer = client.get(f"/diff{query}")
        assert answer.status_code == 404
        assert "bug" not in answer.text


def test_what_cannot_be_told_is_a_dash_and_a_correction_is_named() -> None:
    shift = Shift(column="x", kind="number", outcome="insufficient", mean_before=1, mean_after=2)
    rows = msgspec.structs.replace(found().rows, corrected_by="seen_at")

    page = diff_report(msgspec.structs.replace(found(), shifts=(shift,), rows=rows))

    assert page.count('<td class="figure">-</td>') == 4
    assert "x, each row as its latest seen_at left it" in page
    assert "0.0000" not in page
