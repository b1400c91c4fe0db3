import random
from pathlib import Path

import pytest
from blake3 import blake3

from benchmarks import corpus


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """8 folders of 60 files of 20 bytes, of which 48 are the few."""
    sizes = {"N_FOLDERS": 8, "N_IN_FOLDER": 60, "FILE_BYTES": 20, "N_FEW": 48}
    for name, size in (sizes | {"BIG_BYTES": 5000, "BLOCK_BYTES": 1000}).items():
        monkeypatch.setattr(corpus, name, size)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.jpg")}


@pytest.mark.usefixtures("small")
def test_the_corpora_are_the_same_every_time_and_no_two_files_are(tmp_path: Path) -> None:
    corpus.many(tmp_path / "once")
    corpus.many(tmp_path / "again")

    files = contents(tmp_path / "once")
    assert files == contents(tmp_path / "again")
    assert len(set(files.values())) == len(files) == 480
    assert {len(data) for data in files.values()} == {20}


@pytest.mark.usefixtures("small")
def test_the_few_are_of_all_folders(tmp_path: Path) -> None:
    corpus.many(tmp_path / "many")
    corpus.few(tmp_path / "few", tmp_path / "many")

    few = contents(tmp_path / "few")
    assert len(few) == 48
    assert {name[:8] for name in few} == {f"class_{i:02d}" for i in range(8)}
    assert set(few.values()) <= set(contents(tmp_path / "many").values())


@pytest.mark.usefixtures("small")
def test_one_file_of_the_same_length_changes(tmp_path: Path) -> None:
    corpus.many(tmp_path)
    before = contents(tmp_path)

    corpus.change_one(tmp_path, random.Random(2))

    changed = [name for name, data in contents(tmp_path).items() if before[name] != data]
    assert changed == ["class_07/image_0050.jpg"]
    assert len(contents(tmp_path)[changed[0]]) == 20


@pytest.mark.usefixtures("small")
def test_the_read_hashes_every_byte_of_every_file(tmp_path: Path) -> None:
    corpus.many(tmp_path)

    digests = {blake3(data).digest() for data in contents(tmp_path).values()}
    assert set(corpus.hashed(tmp_path)) == digests


@pytest.mark.usefixtures("small")
def test_the_big_file_has_the_size_it_is_named_for(tmp_path: Path) -> None:
    corpus.big(tmp_path / "big" / "film.bin")

    assert (tmp_path / "big" / "film.bin").stat().st_size == 5000
