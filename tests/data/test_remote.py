"""A prefix of S3 as a source: copied or left there, and only what is new is fetched."""

import os
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import obstore
import pytest
from obstore.store import S3Store

from cd4ml.data.checkout import checkout
from cd4ml.data.remote import remote_files
from cd4ml.data.verification import verify
from cd4ml.data.versions import scan_version
from cd4ml.errors import (
    Cd4mlError,
    ConfigurationError,
    Conflict,
    Corrupted,
    NotFound,
    Unavailable,
)
from cd4ml.store.file_store import FileStore
from tests.data.folders import add, content, objects
from tests.data.tables import CSV
from tests.store.faults import Faults, proxy

if TYPE_CHECKING:
    from cd4ml.store.database import Database

IMAGES = {"a.png": b"1", "sub/b.png": os.urandom(300_000), "sub/deep/c.jpg": b"3", "d é.png": b"4"}


class Bucket:
    """A prefix of a bucket, reached through a proxy that counts what is read."""

    def __init__(self, url: str, faults: Faults) -> None:
        self.url = url
        self.faults = faults
        self._store = S3Store.from_url(url)

    def put(self, **objects: bytes) -> None:
        for key, data in objects.items():
            obstore.put(self._store, key, data)

    def remove(self, key: str) -> None:
        obstore.delete(self._store, key)


@pytest.fixture
def bucket(s3_url: str, s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bucket]:
    with proxy(s3_server) as (endpoint, faults):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        yield Bucket(f"{s3_url}/images", faults)


def names(pattern: str, cache: Path) -> list[str]:
    return [file.name for file in remote_files(pattern, cache).files]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["a.png", "d é.png", "sub/b.png", "sub/deep/c.jpg"]),
        ("/", ["a.png", "d é.png", "sub/b.png", "sub/deep/c.jpg"]),
        ("/sub", ["b.png", "deep/c.jpg"]),
        ("/a.png", ["a.png"]),
        ("/*.png", ["a.png", "d é.png"]),
        ("/**/*.png", ["a.png", "d é.png", "sub/b.png"]),
        ("/sub/**", ["b.png", "deep/c.jpg"]),
        ("/s*/b.[a-p]ng", ["sub/b.png"]),
        ("/?.png", ["a.png"]),
    ],
)
def test_a_prefix_an_object_or_a_glob_names_objects(
    bucket: Bucket, tmp_path: Path, pattern: str, found: list[str]
) -> None:
    bucket.put(**IMAGES, **{"sub.png/x": b""})
    bucket.remove("sub.png/x")

    assert names(bucket.url + pattern, tmp_path) == found


def test_a_neighbour_whose_name_only_begins_alike_is_another(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put(**{"sub/a": b"1", "subway/b": b"2", "sub-c": b"3"})

    assert names(f"{bucket.url}/sub", tmp_path) == ["a"]


@pytest.mark.parametrize("keeping", ["copy", "reference"])
def test_objects_are_versioned_like_files_and_only_new_ones_are_fetched(
    bucket: Bucket, file_store: FileStore, database: "Database", tmp_path: Path, now: datetime,
    keeping: Any,
) -> None:  # fmt: skip
    bucket.put(**IMAGES)
    first = add(database, file_store, tmp_path, f"{bucket.url}/", at=now, keeping=keeping)
    again = add(database, file_store, tmp_path, f"{bucket.url}/", at=now, keeping=keeping)
    bucket.put(**{"new.png": b"5"})
    bucket.remove("a.png")

    second = add(database, file_store, tmp_path, f"{bucket.url}/", at=now, keeping=keeping)

    assert (first, second.number, second.n_files) == (again, 2, 4)
    assert second.place == ("" if keeping == "copy" else bucket.url)
    assert (objects(file_store) == {}) == (keeping == "reference")
    assert verify(database, file_store, [second]).damaged == ()
    checkout(file_store, second, tmp_path / "out")
    expected = {**IMAGES, "new.png": b"5"}
    del expected["a.png"]
    assert content(tmp_path / "out") == {k.encode(): v for k, v in expected.items()}


def test_what_has_not_changed_is_not_fetched(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put(**IMAGES)
    before = {file.name: file for file in remote_files(bucket.url, tmp_path).files}
    bucket.put(**{"a.png": b"9"})

    after = {file.name: file for file in remote_files(bucket.url, tmp_path).files}

    assert {name for name in after if after[name] != before[name]} == {"a.png"}
    assert Path(after["a.png"].path).read_bytes() == b"9"
    assert not Path(before["a.png"].path).exists()


def test_a_table_in_s3_is_a_table(
    bucket: Bucket, local_store: FileStore, local_database: "Database", tmp_path: Path,
    now: datetime,
) -> None:  # fmt: skip
    bucket.put(**{"2013/1.csv": CSV.encode(), "2013/2.csv": CSV.encode(), "notes.txt": b""})
    for keeping in ("reference", "copy"):
        version = add(
            local_database, local_store, tmp_path, f"{bucket.url}/2013/*.csv", at=now,
            keeping=keeping, dataset=keeping,
        )  # fmt: skip
        assert (version.kind, version.n_rows) == ("table", 6)
        assert scan_version(local_store, version).collect().height == 6


def test_an_object_that_was_left_and_changed_or_vanished_is_noticed(
    bucket: Bucket, local_store: FileStore, local_database: "Database", tmp_path: Path,
    now: datetime,
) -> None:  # fmt: skip
    bucket.put(**IMAGES)
    version = add(local_database, local_store, tmp_path, bucket.url, at=now, keeping="reference")
    checkout(local_store, version, tmp_path / "whole")
    bucket.put(**{"a.png": b"2"})
    bucket.remove("d é.png")

    found = verify(local_database, local_store, [version])

    assert [(each.path, each.reason) for each in found.damaged] == [
        ("a.png", f"{bucket.url}/a.png has changed since it became part of pictures@1"),
        ("d é.png", f"{bucket.url} has no object 'd é.png'"),
    ]
    with pytest.raises((Corrupted, NotFound)):
        checkout(local_store, version, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("pattern", "error", "message"),
    [
        ("/none/*", NotFound, "no object matches '{url}/none/*'"),
        ("/none", NotFound, "no object matches '{url}/none'"),
    ],
)
def test_what_names_no_object_is_said(
    bucket: Bucket, tmp_path: Path, pattern: str, error: type[Cd4mlError], message: str
) -> None:
    with pytest.raises(error) as refused:
        remote_files(bucket.url + pattern, tmp_path)

    assert refused.value.message == message.format(url=bucket.url)


@pytest.mark.parametrize("pattern", ["s3://", "s3:///x", "s3://*/x"])
def test_a_bucket_has_to_be_named(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        remote_files(pattern, tmp_path)

    assert refused.value.message == f"expected s3://bucket/prefix, got {pattern!r}"


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket, tmp_path: Path) -> None:
    with pytest.raises((NotFound, Unavailable), match=r"s3://cd4ml-nobody-has-it"):
        remote_files("s3://cd4ml-nobody-has-it/x", tmp_path)


def test_a_key_that_is_no_path_is_refused(bucket: Bucket, tmp_path: Path, s3_server: str) -> None:
    path = bucket.url.removeprefix("s3://")
    request = urllib.request.Request(f"{s3_server}/{path}/a//b", data=b"x", method="PUT")
    urllib.request.urlopen(request, timeout=10).close()

    with pytest.raises(Unavailable, match=r'Path ".*/a//b" contained empty path segment'):
        names(bucket.url, tmp_path)


@pytest.mark.parametrize("fault", ["500", "503", "slow", "cut"])
def test_faults_on_the_way_are_ridden_out_or_refused(
    bucket: Bucket, tmp_path: Path, fault: str
) -> None:
    bucket.put(**IMAGES)
    bucket.faults.coming = ["", fault, fault]

    try:
        files = remote_files(bucket.url, tmp_path).files
    except (Unavailable, Conflict):
        assert fault == "cut"
        bucket.faults.coming = []
        files = remote_files(bucket.url, tmp_path).files

    assert {file.name: Path(file.path).read_bytes() for file in files} == IMAGES
    assert bucket.faults.met
