"""Files, read once: what they hold, and on the way into the store where that is wanted."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from cd4ml.data.files import Found, changed, left_alone, stamp_from, stamp_of
from cd4ml.data.names import written
from cd4ml.errors import InvalidInput
from cd4ml.records.dataset import DataFile
from cd4ml.records.stored_file import StoredFile
from cd4ml.store.address import address_of, address_of_file
from cd4ml.store.delivery import Delivery

if TYPE_CHECKING:
    from cd4ml.store.file_store import FileStore

Keeping = Literal["copy", "reference", "hardlink"]

_SMALL = 2**20  # bytes; smaller files are read whole, larger ones mapped and hashed on all cores
_BATCH = 32 * 2**20  # bytes of small files looked up in the store at a time


class Taken(NamedTuple):
    """Files whose bytes are in the store, or on their way: `new` is to be settled."""

    new: tuple[StoredFile, ...] = ()
    relied_on: frozenset[str] = frozenset()


def digests_of(files: Sequence[Found], known: dict[str, str]) -> dict[str, str]:
    """Name -> digest; only files that are not known are read.

    Raises:
        InvalidInput: If one cannot be read.
        Conflict: If one changed while it was read.
    """
    found = {}
    for file in files:
        found[file.name] = known.get(file.name) or _digest(file)
    return found


def take(
    files: Sequence[Found], digests: dict[str, str], store: FileStore, delivery: Delivery
) -> Taken:
    """See to it that the store has the bytes of all files.

    What it has is relied on. The rest is read, small files once for their digest and their
    bytes; `digests` is completed with what was found.

    Args:
        files: All files of a version.
        digests: Name -> digest, of those that are known.
        store: What has bytes already.
        delivery: Takes those that are new.

    Raises:
        InvalidInput: If a file cannot be read.
        Conflict: If one changed while it was read.
    """
    packed = delivery.packed_below
    large = [file for file in files if file.stamp.size >= packed]
    likely = _maybe_there(large, digests, store)
    digests.update(digests_of(likely, digests))  # cheaper than to store what is there already
    asked = set(digests.values())
    relied_on = asked
    if not store.holds(asked):
        relied_on = set(store.held(asked))
        if not store.holds(relied_on):  # some of it is lost, and now struck off the list
            relied_on = set(store.held(asked))
    wanted = [file for file in files if digests.get(file.name, "") not in relied_on]
    for file in wanted:
        if file.stamp.size >= packed and not delivery.has(digests.get(file.name, "")):
            digests[file.name] = _whole(file, delivery)
    for batch in _read([file for file in wanted if file.stamp.size < packed]):
        held = store.held([digest for _, digest, _ in batch])
        relied_on.update(held)
        for file, digest, data in batch:
            digests[file.name] = digest
            if digest not in held:
                delivery.put(digest, data)
    return Taken(delivery.close(), frozenset(relied_on))


def _maybe_there(files: Sequence[Found], digests: dict[str, str], store: FileStore) -> list[Found]:
    """Those of the files that others may equal: what has a size of its own is new, unread."""
    unknown = [file for file in files if file.name not in digests]
    n_of_size = Counter(file.stamp.size for file in unknown)
    there = store.sizes(n_of_size)
    return [f for f in unknown if f.stamp.size in there or n_of_size[f.stamp.size] > 1]


def data_files(files: Iterable[Found], digests: dict[str, str]) -> tuple[DataFile, ...]:
    """The files as a manifest names them."""
    return tuple(
        DataFile(path=file.name, size=file.stamp.size, digest=digests[file.name]) for file in files
    )


def _whole(file: Found, delivery: Delivery) -> str:
    with left_alone([file], may_be_linked=True):
        try:
            return delivery.put_file(file.path)
        except OSError as error:
            raise _unreadable(file, error) from None


def _digest(file: Found) -> str:
    if file.stamp.size < _SMALL:
        return address_of(_bytes(file))
    try:
        digest = address_of_file(Path(file.path))
    except OSError as error:
        raise _unreadable(file, error) from None
    if stamp_of(file.path) != file.stamp:
        raise changed(file.path)
    return digest


def _read(files: Sequence[Found]) -> Iterator[list[tuple[Found, str, bytes]]]:
    batch: list[tuple[Found, str, bytes]] = []
    size = 0
    for file in files:
        data = _bytes(file)
        batch.append((file, address_of(data), data))
        size += len(data)
        if size >= _BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _bytes(file: Found) -> bytes:
    try:
        descriptor = os.open(file.path, os.O_RDONLY | os.O_NONBLOCK)  # it may be a pipe by now
    except OSError as error:
        raise _unreadable(file, error) from None
    try:
        data = os.read(descriptor, file.stamp.size + 1)
        after = os.fstat(descriptor)  # as it was when it was listed, so it was read as it is
    except OSError as error:
        raise _unreadable(file, error) from None
    finally:
        os.close(descriptor)
    if len(data) != file.stamp.size or stamp_from(after) != file.stamp:
        raise changed(file.path)
    return data


def _unreadable(file: Found, error: OSError) -> Exception:
    if isinstance(error, FileNotFoundError):
        return changed(file.path)
    return InvalidInput(
        f"{written(file.path)} cannot be read: {error.strerror}", hint="may this user read it?"
    )
