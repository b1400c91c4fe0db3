"""Paths that stand in files of settings."""

from pathlib import Path

import pytest

from cd4ml.pipeline.said_values import texts_said_in

FILES = {
    "a.json": ('{"path": "d/a.csv", "n": 3, "all": ["d", {"x": "e/*.csv"}]}', ["d/a.csv", "d", "e/*.csv"]),
    "a.toml": ('path = "d/a.csv"\n[more]\nalso = ["d"]\n', ["d/a.csv", "d"]),
    "a.yaml": ("path: d/a.csv  # which\nall:\n  - d\n  - 'e f'\nn: 3\n", ["d/a.csv", "d", "e f", "3"]),
    "a.ini": ("[data]\npath = d/a.csv\n", ["d/a.csv"]),
    "a.txt": ("path: d/a.csv", []),
    "broken.json": ("{", []),
    "broken.toml": ("=", []),
    "deep.json": ("[" * 100_000, []),
    "large.json": ('"' + "a" * (1 << 20) + '"', []),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_texts_that_stand_as_values_are_found(name: str, tmp_path: Path) -> None:
    text, expected = FILES[name]
    (tmp_path / name).write_text(text)

    assert texts_said_in(tmp_path / name) == expected


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    assert texts_said_in(tmp_path / "none.json") == []
