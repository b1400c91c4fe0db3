"""People's Markdown becomes HTML of ours, and none of theirs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.web.markdown import below, html_of
from tests.web.test_pages import Document


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("", ""),
        ("plain", "<p>plain</p>"),
        ("one\ntwo\n\nthree", "<p>one\ntwo</p>\n<p>three</p>"),
        ("# Use\n## Not", "<h3>Use</h3>\n<h4>Not</h4>"),
        ("###### deep", "<h6>deep</h6>"),
        ("- a\n- b\n\n1. c", "<ul><li>a</li><li>b</li></ul>\n<ul><li>c</li></ul>"),
        (
            "```\n# code\n- <b>\n```\nafter",
            "<pre><code># code\n- &lt;b&gt;</code></pre>\n<p>after</p>",
        ),
        ("```\nnever closed", "<pre><code>never closed</code></pre>"),
        ("**bold** and `code`", "<p><strong>bold</strong> and <code>code</code></p>"),
        ("`<script>`", "<p><code>&lt;script&gt;</code></p>"),
        ("[a](javascript:alert(1))", "<p>[a](javascript:alert(1))</p>"),
        ("#no heading", "<p>#no heading</p>"),
    ],
)
def test_what_people_write_and_what_is_shown(text: str, html: str) -> None:
    assert str(html_of(text)) == html


ours = {"p", "h3", "h4", "h5", "h6", "ul", "li", "pre", "code", "strong"}


@given(
    st.text(
        st.sampled_from("#-*`<>&\"'/ \nab!scriptonerror=")
        | st.characters(exclude_categories=["Cs"])
    )
)
def test_no_tag_of_theirs_gets_through(text: str) -> None:
    page = Document(str(html_of(text)))

    assert {tag for tag, _ in page.tags} <= ours
    assert all(not attributes for _, attributes in page.tags)


def test_headings_go_below_the_one_they_stand_under() -> None:
    assert below("# A\ntext\n## B ##") == "### A\ntext\n#### B"
