"""A folder, or a prefix of S3, in which objects appear whole or not at all."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from cd4ml.errors import NotFound, Unavailable
from cd4ml.store.object_store import S3_RETRIES, no_store_at, reaching

T = TypeVar("T")


class Place:
    """Where the parts of an output go.

    Every method raises `Unavailable` if it does not answer or refuses.

    Args:
        url: A folder, made if it is not there, or `s3://bucket/prefix`.

    Raises:
        ConfigurationError: If it is neither.
        Unavailable: If the folder cannot be made.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        self._store = _open(self.url)
        self._reaching = partial(reaching, self.url)

    def put(self, name: str, data: bytes) -> None:
        """Write an object; one that is there is replaced."""
        import obstore

        with self._reaching(missing=f"{self.url} is not there"):
            obstore.put(self._store, name, data)

    def remove(self, name: str) -> None:
        """Take an object away, with the folders that it leaves empty; nothing, if it is not there."""
        import obstore

        with suppress(NotFound), self._reaching(missing=name):
            obstore.delete(self._store, name)
        if "://" not in self.url:
            with suppress(OSError):  # something else is in there
                for each in ((Path(self.url) / name).parent, Path(self.url)):
                    each.rmdir()

    def read(self, name: str, kind: type[T]) -> T | None:
        """A record that was put; None if there is none."""
        import obstore

        try:
            with self._reaching(missing=name):
                data = obstore.get(self._store, name).bytes().to_bytes()
        except NotFound:
            return None
        return msgspec.json.decode(data, type=kind)

    def names(self, prefix: str = "") -> list[str]:
        """The names of the objects below a prefix, in order."""
        import obstore

        with self._reaching(missing=f"{self.url} is not there"):
            listed = obstore.list(self._store, prefix=prefix or None)
            return sorted(entry["path"] for batch in listed for entry in batch)


def _open(url: str) -> Any:
    from obstore.exceptions import BaseError
    from obstore.store import LocalStore, S3Store

    if url.startswith("s3://"):
        try:
            return S3Store.from_url(url, retry_config=S3_RETRIES)
        except BaseError as error:
            raise no_store_at(url, str(error)) from None
    if "://" in url:
        raise no_store_at(url)
    try:
        Path(url).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        msg = f"the folder {url} cannot be made: {error.strerror}"
        raise Unavailable(msg, hint="may this user write there?") from None
    return LocalStore(prefix=Path(url).absolute())
