import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import obstore
import pytest
from obstore.store import S3Store

from cd4ml.errors import ConfigurationError, Corrupted, InvalidInput, NotFound, Unavailable
from cd4ml.records.contract import Contract, Field
from cd4ml.store import blobs as module
from cd4ml.store.address import address_of, address_of_file
from cd4ml.store.blobs import Blobs, open_blobs

NOBODY = 65534  # a user who owns nothing here
NOTHING_AT = "blake3:" + "0" * 64


@pytest.fixture
def overwrite(blobs_url: str) -> Callable[[str, bytes], None]:
    """Damage: puts other bytes where a blob lies, behind the store's back."""

    def damage(address: str, data: bytes) -> None:
        digest = address.removeprefix("blake3:")
        key = f"{digest[:2]}/{digest[2:]}"
        if blobs_url.startswith("s3://"):
            obstore.put(S3Store.from_url(blobs_url), key, data)
            return
        path = Path(blobs_url) / key
        path.chmod(0o644)
        path.write_bytes(data)

    return damage


def files_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("data", [b"", b"model", bytes(range(256)) * 5000])
def test_what_was_put_is_got_back_by_its_address(blobs: Blobs, data: bytes) -> None:
    address = blobs.put(data)

    assert address == address_of(data)
    assert blobs.has(address)
    assert blobs.get(address) == data
    assert blobs.path(address).read_bytes() == data
    assert blobs.put(data) == address


@pytest.mark.parametrize("size", [0, 10, 17_000_000])
@pytest.mark.parametrize("streamed", [10**9, 1])
def test_a_file_is_stored_as_its_bytes_are_whatever_its_size(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, streamed: int
) -> None:
    monkeypatch.setattr(module, "_STREAMED", streamed)
    file = tmp_path / "flights.csv"
    file.write_bytes(os.urandom(size))

    address = blobs.put_file(file)

    assert address == address_of(file.read_bytes())
    assert blobs.get(address) == file.read_bytes()
    assert blobs.path(address).read_bytes() == file.read_bytes()
    assert blobs.put_file(file) == address


def test_a_record_comes_back_as_it_was(blobs: Blobs) -> None:
    contract = Contract(name="flights", fields=(Field("carrier", "string", categories=("Ä", "B")),))

    assert blobs.get_record(blobs.put_record(contract), Contract) == contract


def test_a_blob_that_is_no_such_record_is_said_to_be_none(blobs: Blobs) -> None:
    address = blobs.put(b'{"name": 3}')

    with pytest.raises(Corrupted) as refused:
        blobs.get_record(address, Contract)

    assert str(refused.value) == (
        f"the blob at {address} is no Contract: Expected `str`, got `int` - at `$.name`\n"
        "  hint: a newer cd4ml may have written it"
    )


def test_what_was_never_put_is_not_found(blobs: Blobs) -> None:
    assert not blobs.has(NOTHING_AT)
    for read in (blobs.get, blobs.path):
        with pytest.raises(NotFound) as missing:
            read(NOTHING_AT)
        assert str(missing.value) == f"the blob store has nothing at {NOTHING_AT}"


@pytest.mark.parametrize("wrong", ["", "blake3:", "../../etc/passwd", "blake3:" + "G" * 64])
def test_what_is_no_address_is_said_to_be_none(blobs: Blobs, wrong: str) -> None:
    assert not blobs.has(wrong)
    for read in (blobs.get, blobs.path):
        with pytest.raises(NotFound) as missing:
            read(wrong)
        assert str(missing.value) == (
            f"expected a content address blake3:<64 hex digits>, got {wrong!r}"
        )


@pytest.mark.parametrize(
    "damaged", [b"modem", b"mod", b"", b"model "], ids=["bit", "truncated", "empty", "longer"]
)
def test_damaged_bytes_are_never_handed_out_and_are_mended_by_the_right_ones(
    blobs: Blobs, overwrite: Callable[[str, bytes], None], damaged: bytes
) -> None:
    address = blobs.put(b"model")

    overwrite(address, damaged)

    for read in (blobs.get, blobs.path):
        with pytest.raises(Corrupted) as corrupted:
            read(address)
        assert str(corrupted.value) == (
            f"the blob at {address} is not what was stored there\n"
            "  hint: restore it from a backup, or compute it again"
        )
    assert blobs.put(b"model") == address
    assert blobs.get(address) == b"model"
    assert blobs.path(address).read_bytes() == b"model"


def test_a_blob_is_never_written_twice(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path))
    path = blobs.path(blobs.put(b"model"))
    written = path.stat()

    blobs.put(b"model")

    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)
    assert path.stat().st_mode & 0o777 == 0o444


@pytest.mark.parametrize("size", [10, 3_000_000])
def test_several_writers_of_the_same_bytes_at_once_store_them_once(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(module, "_STREAMED", 1000)
    file = tmp_path / "flights.csv"
    for _ in range(5):
        file.write_bytes(os.urandom(size))

        with ThreadPoolExecutor(8) as pool:
            addresses = set(pool.map(blobs.put_file, [file] * 8))

        assert addresses == {address_of(file.read_bytes())}
        assert blobs.get(addresses.pop()) == file.read_bytes()


@pytest.mark.parametrize("streamed", [10**9, 1])
def test_a_file_that_changes_while_it_is_stored_is_not_stored(
    blobs: Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, streamed: int
) -> None:
    monkeypatch.setattr(module, "_STREAMED", streamed)
    file = tmp_path / "flights.csv"
    file.write_bytes(b"January")
    hashed = address_of(b"January")

    def hash_and_change(path: Path) -> str:
        file.write_bytes(b"January, February")
        return hashed if path == file else address_of(path.read_bytes())

    monkeypatch.setattr(module, "address_of_file", hash_and_change)

    with pytest.raises(Corrupted) as refused:
        blobs.put_file(file)

    assert str(refused.value) == (
        f"{file} changed while it was being stored\n  hint: add it again when nobody writes to it"
    )
    assert not blobs.has(hashed)


def test_what_is_no_file_cannot_be_stored(blobs: Blobs, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: No such file or directory"):
        blobs.put_file(tmp_path / "nowhere.csv")
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        blobs.put_file(tmp_path)


def test_a_large_file_is_not_held_in_memory(tmp_path: Path) -> None:
    """Storing 256 MB, a process grows by less than 64 MB (hashing apart: it maps the file)."""
    program = (
        "import sys\n"
        "from pathlib import Path\n"
        "from resource import RUSAGE_SELF, getrusage\n"
        "from cd4ml.store.blobs import _chunks, open_blobs\n"
        "file, address = Path(sys.argv[1]), sys.argv[2]\n"
        "blobs = open_blobs(str(file.parent / 'blobs'))\n"
        "blobs.put(bytes(1000))\n"
        "before = getrusage(RUSAGE_SELF).ru_maxrss\n"
        "blobs._write(address, _chunks(file, address), replaces=False)\n"
        "print((getrusage(RUSAGE_SELF).ru_maxrss - before) // 1024)\n"
    )
    file = tmp_path / "large"
    with file.open("wb") as hole:
        hole.truncate(256 * 2**20)
    address = address_of_file(file)

    command = [sys.executable, "-c", program, file, address]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert int(done.stdout) < 64
    assert open_blobs(str(tmp_path / "blobs")).path(address).stat().st_size == 256 * 2**20


@pytest.mark.crash
@pytest.mark.parametrize("streamed", [10**9, 1])
def test_a_writer_that_is_killed_leaves_whole_blobs_only(tmp_path: Path, streamed: int) -> None:
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from cd4ml.store import blobs as module\n"
        "module._STREAMED = int(sys.argv[2])\n"
        "folder = Path(sys.argv[1])\n"
        "blobs = module.open_blobs(str(folder / 'blobs'))\n"
        "while True:\n"
        "    (folder / 'file').write_bytes(os.urandom(20_000_000))\n"
        "    print('ready', flush=True)\n"
        "    blobs.put_file(folder / 'file')\n"
    )
    for delay_ms in (0, 10, 20, 40, 80):
        command = [sys.executable, "-c", program, tmp_path, str(streamed)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stdout.readline() == b"ready\n"
            time.sleep(delay_ms / 1000)
            child.kill()

    blobs = open_blobs(str(tmp_path / "blobs"))
    stored = [path for path in files_in(tmp_path / "blobs") if "#" not in path.name]
    for path in stored:
        address = f"blake3:{path.parent.name}{path.name}"
        assert address_of(blobs.get(address)) == address
    last = (tmp_path / "file").read_bytes()
    assert blobs.get(blobs.put(last)) == last


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path: Path) -> None:
    """The limit on a file's size stops the write in its middle, as a full disk does."""
    blobs = open_blobs(str(tmp_path))
    data = os.urandom(1_000_000)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(Unavailable, match="File too large") as refused:
            blobs.put(data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert refused.value.hint == "is it reachable, is there room, and may this user write there?"
    assert not blobs.has(address_of(data))
    assert blobs.get(blobs.put(data)) == data


def test_two_caches_of_one_bucket_share_nothing(s3_url: str, tmp_path: Path) -> None:
    first = open_blobs(s3_url, cache=tmp_path / "first")
    address = first.put(b"model")

    path = open_blobs(s3_url, cache=tmp_path / "second").path(address)

    assert path.is_relative_to(tmp_path / "second")
    assert files_in(tmp_path) == [path]


def test_a_poisoned_cache_is_noticed_and_filled_again(s3_url: str, tmp_path: Path) -> None:
    blobs = open_blobs(s3_url, cache=tmp_path)
    address = blobs.put(b"model")
    path = blobs.path(address)
    path.chmod(0o644)
    path.write_bytes(b"poison")

    assert blobs.path(address).read_bytes() == b"model"
    assert blobs.path(address).stat().st_mode & 0o777 == 0o444


def test_a_download_that_fails_leaves_nothing_in_the_cache(
    s3_url: str, tmp_path: Path, blobs_url: str
) -> None:
    blobs = open_blobs(s3_url, cache=tmp_path)
    address = blobs.put(b"model")
    obstore.put(S3Store.from_url(s3_url), address[7:9] + "/" + address[9:], b"other")

    with pytest.raises(Corrupted):
        blobs.path(address)
    with pytest.raises(NotFound):
        blobs.path(NOTHING_AT)

    assert files_in(tmp_path) == []


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody may write in the folder, and the test has no rights of root's."""
    folder.chmod(0o555)
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o755)


def test_a_folder_that_cannot_be_made_is_unavailable(tmp_path: Path) -> None:
    folder = tmp_path / "blobs"

    with locked(tmp_path), pytest.raises(Unavailable) as refused:
        open_blobs(str(folder))

    assert str(refused.value) == (
        f"the blobs' folder {folder} cannot be made: Permission denied\n"
        "  hint: choose another with CD4ML_BLOBS or `[store] blobs`"
    )


def test_a_folder_that_may_not_be_written_is_unavailable(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path))

    with locked(tmp_path), pytest.raises(Unavailable) as refused:
        blobs.put(b"model")

    assert refused.value.message.startswith(f"the blob store {tmp_path} does not work: ")
    assert "Permission denied" in refused.value.message
    assert refused.value.hint == "is it reachable, is there room, and may this user write there?"


def test_a_bucket_that_does_not_exist_is_unavailable(s3_url: str, tmp_path: Path) -> None:
    blobs = open_blobs("s3://nobody-made-this-bucket/x", cache=tmp_path)

    with pytest.raises(Unavailable, match="s3://nobody-made-this-bucket/x does not work: "):
        blobs.put(b"model")


def test_a_server_that_does_not_answer_is_unavailable_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3_url: str
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    blobs = open_blobs(s3_url, cache=tmp_path)

    with pytest.raises(Unavailable) as away:
        blobs.get(NOTHING_AT)

    assert away.value.message.startswith(f"the blob store {s3_url} does not work: Generic S3 error")
    assert "\n" not in away.value.message


@pytest.mark.parametrize("url", ["ftp://models", "http://models/x", "s3://", "file:///models"])
def test_a_url_that_is_neither_a_folder_nor_a_bucket_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        open_blobs(url)

    assert refused.value.message == (
        f"expected a folder or s3://bucket/prefix for the blobs, got {url!r}"
    )


def test_a_file_in_the_place_of_the_folder_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "blobs").touch()

    with pytest.raises(Unavailable, match=r"cannot be made: File exists"):
        open_blobs(str(tmp_path / "blobs"))


def test_what_was_put_for_later_is_there_and_is_settled_with_others(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    addresses = [blobs.put(bytes([i]), is_settled=False) for i in range(3)]

    assert [blobs.get(address) for address in addresses] == [b"\0", b"\1", b"\2"]
    assert all(blobs.path(address).stat().st_mode & 0o777 == 0o444 for address in addresses)
    blobs.settle(addresses)


def test_what_is_gone_before_it_is_settled_is_left_to_who_asks_for_it(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    gone, there = blobs.put(b"gone", is_settled=False), blobs.put(b"there", is_settled=False)
    blobs.remove(gone)

    blobs.settle([gone, there])

    assert blobs.get(there) == b"there"
    with pytest.raises(NotFound):
        blobs.get(gone)


def test_an_unfinished_blob_is_in_no_listing(tmp_path: Path) -> None:
    blobs = open_blobs(str(tmp_path / "blobs"))
    path = blobs.path(blobs.put(b"whole"))
    path.with_name(f"{path.name}#{2**40}").write_bytes(b"who")  # as who is killed leaves it

    assert [(each.size, each.name[:2]) for each in blobs.names()] == [(5, path.parent.name)]
