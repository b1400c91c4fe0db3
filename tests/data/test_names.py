"""Names of files: any bytes that a file system takes survive being text."""

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.data.names import inside, spoken, written
from cd4ml.errors import Corrupted

names = st.binary(min_size=1, max_size=60).map(lambda name: name.replace(b"\0", b"0"))


@given(names)
def test_every_name_is_text_that_json_and_databases_hold_and_comes_back(name: bytes) -> None:
    text = written(os.fsdecode(name))

    assert text.encode().decode() == text
    assert "\0" not in text
    assert os.fsencode(spoken(text)) == name


@given(names, names)
def test_two_names_are_two_texts(one: bytes, other: bytes) -> None:
    assert (written(os.fsdecode(one)) == written(os.fsdecode(other))) == (one == other)


@given(st.lists(names, min_size=1, max_size=4))
def test_a_path_is_the_text_of_its_parts(parts: list[bytes]) -> None:
    path = os.fsdecode(b"/".join(parts))

    assert written(path) == "/".join(written(os.fsdecode(part)) for part in parts)


@pytest.mark.parametrize("name", ["a b.png", "New\nYork/x", "naïve.csv", "日本/図.png", ".hidden"])
def test_names_that_are_text_stay_as_they_are(name: str) -> None:
    assert written(name) == name
    assert inside(name) == name


@pytest.mark.parametrize(
    "text",
    [
        "", "/etc/passwd", "..", "../a", "a/../../b", "a//b", "./a", "a/", "a/.", "a\0b",
        r"a\x2f..\x2f..\x2fb", r"\x2e\x2e/a", r"\x2fetc", r"a\x00",
    ],
)  # fmt: skip
def test_a_name_that_leads_out_of_its_folder_is_refused(text: str) -> None:
    with pytest.raises(Corrupted) as refused:
        inside(text)

    assert str(refused.value) == (
        f"expected the name of a file below its folder, got {text!r}\n"
        "  hint: the manifest was not written by cd4ml: trust nothing of it"
    )
