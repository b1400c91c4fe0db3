"""The files that no commit gives back, as one archive."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cd4ml.errors import Corrupted
from cd4ml.pipeline.kept_files import archive, small_files, unpack
from cd4ml.pipeline.revision import LARGEST

NAMES = st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="/\0."), min_size=1,
                max_size=40)  # fmt: skip


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@given(files=st.dictionaries(NAMES, st.binary(max_size=2000), max_size=5))
def test_what_is_unpacked_is_what_was_kept(
    tmp_path_factory: pytest.TempPathFactory, files: dict[str, bytes]
) -> None:
    folder, again = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("other")
    for name, data in files.items():
        (folder / "inner").mkdir(exist_ok=True)
        (folder / "inner" / name).write_bytes(data)

    unpack(archive(folder, [f"inner/{name}" for name in files]), again)

    assert everything(again) == everything(folder)


def test_the_same_files_give_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("A = 1\n")
    (tmp_path / "b.py").write_text("B = 1\n")
    before = archive(tmp_path, ["a.py", "b.py", "a.py", "gone.py"])
    os.utime(tmp_path / "a.py", (0, 0))
    (tmp_path / "b.py").chmod(0o755)

    assert archive(tmp_path, ["b.py", "a.py"]) == before


def test_hidden_files_environments_and_what_is_large_are_left_out(tmp_path: Path) -> None:
    for name in (".env", ".git/config", "__pycache__/a.pyc", "venv/lib/x.py", "pkg/mod.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "venv" / "pyvenv.cfg").write_text("")
    (tmp_path / "large.py").write_bytes(b"#" * (LARGEST + 1))
    (tmp_path / "data.csv").write_text("a\n")
    (tmp_path / "link.py").symlink_to("pkg/mod.py")

    assert small_files(tmp_path, leave_out=lambda name: name == "data.csv") == ["pkg/mod.py"]


def test_an_archive_cannot_write_outside_the_folder(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("../outside.py"))
    folder = tmp_path / "inner"
    folder.mkdir()

    for data in (buffer.getvalue(), b"no archive" * 100):
        with pytest.raises(Corrupted, match="the files that the run kept cannot be laid out"):
            unpack(data, folder)

    assert list(tmp_path.iterdir()) == [folder]
