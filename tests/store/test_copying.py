import errno
import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cd4ml.store import copying
from cd4ml.store.address import address_of
from cd4ml.store.copying import copied

MB = 2**20
PIECE = copying._PIECE


@contextmanager
def descriptors(origin: Path, target: Path) -> Iterator[tuple[int, int]]:
    source = os.open(origin, os.O_RDONLY)
    fresh = os.open(target, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        yield source, fresh
    finally:
        os.close(source)
        os.close(fresh)


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1, 3 * PIECE, 9 * PIECE + 17])
def test_a_copy_is_named_by_what_it_holds(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "origin").write_bytes(data)

    with descriptors(tmp_path / "origin", tmp_path / "target") as (origin, target):
        found = copied(origin, target)

    assert found == (address_of(data), size)
    assert (tmp_path / "target").read_bytes() == data


@pytest.mark.parametrize("size", [10, 2 * PIECE + 5])
def test_what_the_kernel_cannot_copy_from_is_read(tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "origin").write_bytes(data)
    reading, writing = os.pipe()
    target = os.open(tmp_path / "target", os.O_RDWR | os.O_CREAT)
    child = os.posix_spawn("/bin/cat", ["cat", str(tmp_path / "origin")], {},
        file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_CLOSE, reading)])  # fmt: skip
    os.close(writing)

    found = copying._at_once(reading, target)

    os.waitpid(child, 0)
    os.close(reading)
    os.close(target)
    assert found == (address_of(data), size)
    assert (tmp_path / "target").read_bytes() == data


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], object]], None]:
    """Something that happens once the first piece has been copied."""

    def set_up(what: Callable[[], object]) -> None:
        waiting, piece = [what], copying._piece

        def copy(origin: int, target: int) -> int:
            n_copied = piece(origin, target)
            if waiting:
                waiting.pop()()
            return n_copied

        monkeypatch.setattr(copying, "_piece", copy)

    return set_up


@pytest.mark.parametrize("length", [PIECE, 2 * PIECE + 3, 7 * PIECE])
def test_a_file_that_is_cut_or_grows_meanwhile_is_copied_as_it_was_read(
    tmp_path: Path, meanwhile: Callable[[Callable[[], object]], None], length: int
) -> None:
    path = tmp_path / "origin"
    path.write_bytes(b"a" * 5 * PIECE)
    meanwhile(lambda: os.truncate(path, length))

    with descriptors(path, tmp_path / "target") as (origin, target):
        digest, size = copied(origin, target)

    assert size == length
    assert digest == address_of(path.read_bytes())
    assert (tmp_path / "target").read_bytes() == path.read_bytes()


def test_a_copy_that_somebody_cuts_is_no_copy(tmp_path: Path) -> None:
    (tmp_path / "origin").write_bytes(b"a")
    with (
        descriptors(tmp_path / "origin", tmp_path / "target") as (_, target),
        pytest.raises(OSError, match="what was copied is gone again") as refused,
        copying._Followers(target) as followers,
    ):
        followers.follow(0, 10)

    assert refused.value.errno == errno.EIO


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process may get larger (as on a disk that is full)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


@pytest.mark.parametrize("can_tell_before", [True, False])
def test_without_room_there_is_no_copy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_tell_before: bool
) -> None:
    (tmp_path / "origin").write_bytes(b"a" * 3 * PIECE)

    def cannot(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no such thing on this file system")

    if not can_tell_before:
        monkeypatch.setattr(os, "posix_fallocate", cannot)
    with (
        descriptors(tmp_path / "origin", tmp_path / "target") as (origin, target),
        room_for(PIECE + MB),
        pytest.raises(OSError, match="File too large"),
    ):
        copied(origin, target)
