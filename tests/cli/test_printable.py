from hypothesis import given
from hypothesis import strategies as st

from cd4ml.cli.printable import printable


@given(st.text())
def test_nothing_that_steers_a_terminal_comes_through(text: str) -> None:
    shown = printable(text)

    assert len(shown) == len(text)
    assert not {chr(code) for code in (*range(9), *range(11, 32), *range(127, 160))} & set(shown)
    assert printable(shown) == shown


def test_words_of_all_languages_stay_as_they_are() -> None:
    text = "Größe\t\u98db\u884c\u6a5f \u0637\u0627\u0626\u0631\u0629 \U0001f6eb\n"

    assert printable(text) == text
