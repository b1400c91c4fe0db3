"""Objects: immutable bytes under names that are given once, in a folder or in S3."""

import os
import resource
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from cd4ml.errors import ConfigurationError, InvalidInput, NotFound, Unavailable
from cd4ml.store.address import address_of
from cd4ml.store.objects import Objects, open_objects
from tests.store.faults import Faults, proxy


@pytest.fixture
def objects(blobs_url: str) -> Objects:
    """An empty store of objects; the test runs once on each kind."""
    return open_objects(f"{blobs_url}/files")


@pytest.fixture
def local(tmp_path: Path) -> Objects:
    return open_objects(str(tmp_path / "files"))


@pytest.mark.parametrize("parts", [[], [b""], [b"flights"], [b"fli", b"", b"ghts"]])
def test_what_was_put_is_read_back(objects: Objects, parts: list[bytes]) -> None:
    name = objects.put(parts)

    data = b"".join(parts)
    assert b"".join(objects.chunks(name)) == data
    assert objects.read(name, [(0, len(data))]) == [data]
    assert (objects.size(name), objects.digest(name)) == (len(data), address_of(data))
    assert [(entry.name, entry.size) for entry in objects.list()] == [(name, len(data))]


@pytest.mark.parametrize("size", [0, 10, 17_000_000])
def test_a_file_is_stored_as_it_is_and_named_by_what_was_stored(
    objects: Objects, tmp_path: Path, size: int
) -> None:
    file = tmp_path / "flights"
    file.write_bytes(os.urandom(size))

    put = objects.put_file(file)

    assert (put.size, put.digest) == (size, address_of(file.read_bytes()))
    assert b"".join(objects.chunks(put.name)) == file.read_bytes()


def test_the_same_bytes_are_two_objects(objects: Objects) -> None:
    one, other = objects.put([b"x"]), objects.put([b"x"])

    objects.remove([one, one])

    assert one != other
    assert objects.read(other, [(0, 1)]) == [b"x"]
    with pytest.raises(NotFound) as missing:
        objects.read(one, [(0, 1)])
    assert str(missing.value) == f"the store {objects.url} has no object {one}"


def test_stretches_come_in_the_order_they_are_asked_for(objects: Objects) -> None:
    name = objects.put([b"0123456789"])

    assert objects.read(name, [(7, 2), (0, 3), (4, 0), (2, 4)]) == [b"78", b"012", b"", b"2345"]
    assert objects.read(name, []) == []


@pytest.mark.parametrize("stretch", [(8, 5), (10, 1), (50, 6)])
def test_behind_the_end_there_is_less(objects: Objects, stretch: tuple[int, int]) -> None:
    name = objects.put([b"0123456789"])

    first, beyond = objects.read(name, [(0, 2), stretch])

    assert first == b"01"
    assert len(beyond) < stretch[1]


@pytest.mark.parametrize(
    "name", ["", "x", "../../etc/passwd", "ab/../../etc/passwd0000000000000000"]
)
def test_what_can_be_no_object_is_not_looked_for(objects: Objects, name: str) -> None:
    for look in (objects.size, objects.digest, lambda name: objects.read(name, [(0, 1)])):
        with pytest.raises(NotFound) as refused:
            look(name)
        assert str(refused.value) == f"no object can be named {name!r}"
    objects.remove([name])


def test_objects_are_stamped_by_the_store_s_clock(objects: Objects) -> None:
    name = objects.put([b"x"])

    now = objects.now()

    (entry,) = objects.list()
    assert entry.name == name
    assert timedelta(0) <= now - entry.stored_at < timedelta(minutes=1)


@pytest.mark.parametrize("year", [1999, 2199])
def test_a_hard_link_is_as_old_as_the_link_whatever_the_file_says(
    local: Objects, tmp_path: Path, year: int
) -> None:
    file = tmp_path / "flights"
    file.write_bytes(b"x")
    os.utime(file, ((year - 1970) * 31_556_952,) * 2)

    local.put_file(file, way="hardlink")

    (entry,) = local.list()
    assert timedelta(0) <= local.now() - entry.stored_at < timedelta(minutes=1)


def test_a_hard_link_is_the_file_itself_read_only(local: Objects, tmp_path: Path) -> None:
    file = tmp_path / "flights"
    file.write_bytes(b"x")

    put = local.put_file(file, way="hardlink")

    path = local.path(put.name)
    assert path is not None
    assert path.samefile(file)
    assert file.stat().st_mode & 0o777 == 0o444


def test_between_two_file_systems_there_are_no_hard_links(local: Objects) -> None:
    if (
        not Path("/dev/shm").is_dir()
        or Path("/dev/shm").stat().st_dev == Path("/tmp").stat().st_dev
    ):
        pytest.skip("no second file system at /dev/shm")
    file = Path("/dev/shm") / f"cd4ml-{os.getpid()}"
    file.write_bytes(b"x")
    try:
        with pytest.raises(InvalidInput) as refused:
            local.put_file(file, way="hardlink")
    finally:
        file.unlink()

    assert str(refused.value) == (
        f"a file cannot have a second name in the store {local.url}: Invalid cross-device link\n"
        '  hint: that takes one file system and your own files; store = "copy" takes neither'
    )
    assert list(local.list()) == []


def test_a_file_that_is_not_there_is_not_the_store_s_fault(
    objects: Objects, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        objects.put_file(tmp_path / "gone")

    assert list(objects.list()) == []


def test_what_was_never_finished_is_listed_and_can_be_removed(local: Objects) -> None:
    """As after `kill -9` in the middle of writing."""
    name = local.put([b"x"])
    path = local.path(name)
    assert path is not None
    path.rename(path.with_name(f"{path.name}.part"))

    (entry,) = local.list()
    local.remove([entry.name])

    assert entry.name == f"{name}.part"
    assert list(local.list()) == []


def test_a_full_disk_leaves_nothing_behind(local: Objects, tmp_path: Path) -> None:
    """The process may write no file larger than 1 MB: the system then answers as a full disk."""
    (tmp_path / "large").write_bytes(os.urandom(3_000_000))
    program = (
        "import sys, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from cd4ml.store.objects import open_objects\n"
        "from cd4ml.errors import Unavailable\n"
        "objects = open_objects(sys.argv[1])\n"
        "for put in (lambda: objects.put_file(sys.argv[2]), lambda: objects.put([b'x' * 2**21])):\n"
        "    try: put()\n"
        "    except Unavailable as error: print(error)\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", program, str(local.folder), str(tmp_path / "large")],
        capture_output=True, text=True, check=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6)),
    )  # fmt: skip

    assert done.stdout.splitlines() == 2 * [
        f"the store {local.url} does not work: [Errno 27] File too large",
        "  hint: is it reachable, is there room, and may this user write there?",
    ]
    assert list(local.list()) == []


def test_a_store_that_is_no_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="expected a folder or s3://bucket/prefix"):
        open_objects("ftp://somewhere")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(Unavailable, match=r"the folder .*/file/x cannot be made: Not a directory"):
        open_objects(str(tmp_path / "file" / "x"))


@pytest.fixture
def faulty(
    s3_url: str, s3_server: str, monkeypatch: pytest.MonkeyPatch
) -> "tuple[Objects, Faults]":
    with proxy(s3_server) as (endpoint, faults):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        yield open_objects(f"{s3_url}/files"), faults


@pytest.mark.parametrize("fault", ["500", "503", "slow", "cut"])
def test_a_store_that_stumbles_is_asked_again(
    faulty: "tuple[Objects, Faults]", tmp_path: Path, fault: str
) -> None:
    objects, faults = faulty
    data = os.urandom(300_000)
    (tmp_path / "file").write_bytes(data)
    for act in (
        lambda: objects.put([data]),
        lambda: objects.put_file(tmp_path / "file").name,
    ):
        faults.coming = [] if fault == "cut" else [fault]
        name = act()
        faults.coming = ["", fault] if fault == "cut" else [fault]
        try:
            assert objects.read(name, [(5, 200_000), (250_000, 7)]) == [
                data[5:200_005], data[250_000:250_007],
            ]  # fmt: skip
            faults.coming = [fault]
            assert b"".join(objects.chunks(name)) == data
        except Unavailable:  # cut off in the middle: refused, never handed out as if it were whole
            assert fault == "cut"
        faults.coming = []
        assert objects.digest(name) == address_of(data)
    assert faults.met


def test_a_store_that_stays_away_is_named_within_seconds(
    faulty: "tuple[Objects, Faults]",
) -> None:
    objects, faults = faulty
    faults.coming = ["503"] * 100
    begun = time.monotonic()

    with pytest.raises(Unavailable) as refused:
        objects.put([b"x"])

    assert refused.value.message.startswith(f"the store {objects.url} does not work: ")
    assert time.monotonic() - begun < 40
    faults.coming = []
    assert list(objects.list()) == []
