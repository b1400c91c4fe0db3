from pathlib import Path

import pytest

from tools.check_docs import ROOT, check_page, is_command, pages


def problems(folder: Path, text: str) -> list[str]:
    page = folder / "page.md"
    page.write_text(text)
    return list(check_page(page, folder))


def test_the_documentation_of_cd4ml_is_as_it_should_be() -> None:
    assert [problem for page in pages(ROOT) for problem in check_page(page, ROOT)] == []


def test_a_link_to_no_file_is_found(tmp_path: Path) -> None:
    assert problems(tmp_path, "one\nsee [it](other.md)") == [
        "page.md:2: the link other.md leads to no file"
    ]


def test_a_link_to_no_heading_is_found(tmp_path: Path) -> None:
    (tmp_path / "other.md").write_text("# A *fine* `heading`, here\n")

    text = "[a](other.md#a-fine-heading-here) [b](other.md#b) [c](#missing)"

    assert problems(tmp_path, text) == [
        "page.md:1: the link other.md#b leads to no heading",
        "page.md:1: the link #missing leads to no heading",
    ]


def test_links_out_and_links_in_code_are_left_alone(tmp_path: Path) -> None:
    assert problems(tmp_path, "[a](https://x.org) `[b](c.md)`\n```\n[d](e.md)\n```\n") == []


def test_a_picture_has_to_be_there(tmp_path: Path) -> None:
    assert problems(tmp_path, '<img src="docs/x.png">') == [
        "page.md:1: the link docs/x.png leads to no file"
    ]


@pytest.mark.parametrize("text", ["\nrun `cd4ml fly`", "```console\n$ cd4ml fly\n```"])
def test_a_command_that_does_not_exist_is_found(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == ["page.md:2: there is no command `cd4ml fly`"]


@pytest.mark.parametrize(
    "words", ["run --set a=1", "gate run/3", "data add", "release delay/1", "release list", "audit"]
)
def test_commands_are_known_in_all_their_forms(words: str) -> None:
    assert is_command(words.split())


@pytest.mark.parametrize("words", ["fly", "data fly", "people"[:4], "audit zap"])
def test_what_is_no_command_is_known_too(words: str) -> None:
    assert not is_command(words.split())


def test_a_block_that_cannot_be_read_is_found(tmp_path: Path) -> None:
    text = "```python\ndef f(:\n```\n\n```toml\na = \n```\n\n```console\n$ rm (\n```\n"

    found = problems(tmp_path, text)

    assert [problem.split(" cannot")[0] for problem in found] == [
        "page.md:1: the python block",
        "page.md:5: the toml block",
    ]
