import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.web.render import linked, path_of, size


@given(st.text())
def test_whatever_the_text_it_is_escaped(text: str) -> None:
    html = str(linked(text))

    without_links = html.replace("<a href=", "").replace("</a>", "").replace('">', "")
    assert "<script" not in html
    assert "<" not in without_links


@pytest.mark.parametrize(
    ("text", "paths"),
    [
        ("release/2 of delay/1 to production", ["/releases/2", "/models/delay/1"]),
        ("flights@1: 27,004 rows from data/flights/2013-01.parquet", ["/data/flights@1"]),
        ("run/5, run/6.", ["/runs/5", "/runs/6"]),
        ("plan/3 on 2013/02/01 at 1/2 of http://x/1", []),
        ("a/b/1 and x@y/2", []),
    ],
)
def test_refs_in_a_sentence_become_links(text: str, paths: list[str]) -> None:
    html = str(linked(text))

    assert [part.partition('"')[0] for part in html.split('href="')[1:]] == paths


@pytest.mark.parametrize(
    "ref",
    [
        "run/0",
        "run/x",
        "run/-1",
        "../etc/1",
        "a@b",
        "",
        "run/1/2",
        'x"><script>/1',
        "standing-approval/1",
    ],
)
def test_what_is_no_ref_has_no_page(ref: str) -> None:
    assert path_of(ref) == ""


def test_sizes_end_with_the_largest_unit() -> None:
    assert [size(10**power) for power in (0, 3, 6, 9, 12)] == [
        "1 B",
        "1.0 kB",
        "1.0 MB",
        "1.0 GB",
        "1,000.0 GB",
    ]
