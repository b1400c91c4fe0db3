from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cd4ml.measures.categories import Top, category_counts, commonest, top_together

texts = st.lists(st.sampled_from(["AA", "UA", "HA", "å", "", "a\nb"]), max_size=40)


def of(rows: list[str], most: int = 100) -> Top:
    return commonest(Counter(rows), most)


@given(texts, texts)
def test_counts_in_pinned_categories_add_up(first: list[str], second: list[str]) -> None:
    pinned = ["AA", "å"]

    whole = category_counts(Counter(first + second), pinned, n_missing=3)

    parts = (category_counts(Counter(part), pinned) for part in (first, second))
    assert (whole - sum(parts)).tolist() == [0, 0, 0, 3]
    assert whole.sum() == len(first) + len(second) + 3


@given(texts, texts, texts)
def test_complete_tops_add_up_in_any_order(a: list[str], b: list[str], c: list[str]) -> None:
    whole = of(a + b + c)

    assert top_together(top_together(of(a), of(b), 100), of(c), 100) == whole
    assert top_together(of(c), top_together(of(b), of(a), 100), 100) == whole


@given(texts, texts)
def test_what_was_cut_off_is_never_counted_too_often(first: list[str], second: list[str]) -> None:
    found = Counter(first + second)

    top = top_together(of(first, 2), of(second, 2), 2)

    assert len(top.counts) <= 2
    assert all(count <= found[text] for text, count in top.counts)
    if top.is_complete:
        assert dict(top.counts) == found


def test_equally_many_are_in_order_of_name() -> None:
    assert of(["b", "a", "c", "c"]).counts == (("c", 2), ("a", 1), ("b", 1))
    assert of(["b", "a"], most=1) == Top((("a", 1),), is_complete=False)
