"""Signed checkpoints of the ledger, as objects that are created once, in a folder or in S3.

The chain finds what was changed in the middle. Who rewrites all of it, or cuts off its end, leaves
a chain that holds: only what was signed and lies elsewhere contradicts it.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.errors import Corrupted
from cd4ml.records.checkpoint import Checkpoint
from cd4ml.store.address import address_of_record, canonical
from cd4ml.store.disk import READ_ONLY, sync
from cd4ml.store.object_store import local_folder, reaching, s3_store
from cd4ml.store.signing import is_signed, key_id, public_of, sign

_NAME = re.compile(r"(\d{12})\.json")


class Checkpoints:
    """The checkpoints of one ledger. Nothing is ever replaced or removed here.

    Every method raises `Unavailable` if the place does not answer or refuses.

    Args:
        store: An obstore store; None for a folder.
        url: What people know it by.
        folder: Its folder, where it is local; None for S3.
    """

    def __init__(self, store: Any, *, url: str, folder: Path | None) -> None:
        self._store = store
        self._folder = folder
        self.url = url

    def put(self, checkpoint: Checkpoint) -> Checkpoint:
        """Create the object of a checkpoint; gives the one that is there, if one is already.

        Raises:
            Corrupted: If the one that is there says something else of the same entry.
        """
        name = _name(checkpoint.sequence)
        with self._reaching(name):
            if self._create(name, msgspec.json.encode(checkpoint)):
                return checkpoint
        there = self.get(checkpoint.sequence)
        if there.head != checkpoint.head:
            raise _contradicted(there)
        return there

    def get(self, sequence: int) -> Checkpoint:
        """The checkpoint of an entry.

        Raises:
            NotFound: If there is none.
            Corrupted: If what lies there is none.
        """
        import obstore

        name = _name(sequence)
        with self._reaching(name):
            if self._folder is not None:
                content = (self._folder / name).read_bytes()
            else:
                content = obstore.get(self._store, name).bytes().to_bytes()
        return read_checkpoint(content, f"{self.url}/{name}")

    def sequences(self) -> list[int]:
        """The entries of which there is a checkpoint, ascending."""
        import obstore

        with self._reaching("*"):
            if self._folder is not None:
                is_there = self._folder.is_dir()
                paths = [path.name for path in self._folder.iterdir()] if is_there else []
            else:
                paths = [entry["path"] for batch in obstore.list(self._store) for entry in batch]
        found = (_NAME.fullmatch(path) for path in paths)
        return sorted(int(match[1]) for match in found if match)

    def all(self) -> list[Checkpoint]:
        """Every checkpoint, in the order of the ledger."""
        return [self.get(sequence) for sequence in self.sequences()]

    def newest(self) -> Checkpoint | None:
        """The checkpoint that goes farthest; None if there is none."""
        sequences = self.sequences()
        return self.get(sequences[-1]) if sequences else None

    def _create(self, name: str, content: bytes) -> bool:
        """Whether it was created: of two who create one at once, one does."""
        import obstore
        from obstore.exceptions import AlreadyExistsError

        if self._folder is not None:
            return _created(self._folder / name, content)
        try:
            obstore.put(self._store, name, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def _reaching(self, name: str) -> AbstractContextManager[None]:
        where = f"the place of the ledger's checkpoints {self.url}"
        return reaching(where, missing=f"{where} has no {name}")


def open_checkpoints(url: str) -> Checkpoints:
    """Open the checkpoints in a folder or at `s3://bucket/prefix`; a folder is made when needed.

    Raises:
        ConfigurationError: If the URL names neither.
    """
    folder = local_folder(url)
    if folder is None:
        return Checkpoints(s3_store(url), url=url, folder=None)
    return Checkpoints(None, url=str(folder), folder=folder)


def signed(checkpoint: Checkpoint, private: bytes) -> Checkpoint:
    """A checkpoint with its signature."""
    named = msgspec.structs.replace(checkpoint, key=key_id(public_of(private)), signature="")
    return msgspec.structs.replace(named, signature=sign(private, message_of(named)))


def message_of(checkpoint: Checkpoint) -> bytes:
    """What is signed of a checkpoint: all but the signature, as canonical JSON."""
    words = msgspec.to_builtins(checkpoint)
    del words["signature"]
    return canonical(words)


def address_of(checkpoint: Checkpoint) -> str:
    """The content address of a checkpoint, by which the next one names it."""
    return address_of_record(checkpoint)


def read_checkpoint(content: bytes, where: str) -> Checkpoint:
    """A checkpoint as it was written.

    Raises:
        Corrupted: If it is none.
    """
    try:
        return msgspec.json.decode(content, type=Checkpoint)
    except msgspec.MsgspecError as error:
        msg = f"{where} is no checkpoint of a ledger: {error}"
        raise Corrupted(msg, hint="compare it with a copy") from None


def require_whole(checkpoints: Iterable[Checkpoint], keys: Mapping[str, bytes]) -> None:
    """Refuse checkpoints of which one is not signed by a known key, or missing before another.

    Args:
        checkpoints: All of a ledger, in its order.
        keys: Public keys (PEM) by their ids.

    Raises:
        Corrupted: Naming the first that is wrong.
    """
    seen = {""}
    for each in checkpoints:
        require_signed(each, keys)
        if each.previous not in seen:  # any before it: of two made at once neither knew the other
            msg = f"the checkpoint before {each.ref} is missing"
            raise Corrupted(msg, hint="somebody took it away: compare with a copy")
        seen.add(address_of(each))


def require_signed(checkpoint: Checkpoint, keys: Mapping[str, bytes]) -> None:
    """Refuse a checkpoint that no known key has signed.

    Raises:
        Corrupted: If it was signed by another key, or changed since.
    """
    if checkpoint.key not in keys:
        known = ", ".join(sorted(keys)) or "none"
        msg = f"{checkpoint.ref} is signed by {checkpoint.key}, which is no key of this ledger"
        raise Corrupted(msg, hint=f"known keys: {known}; the public ones lie in audit-keys/")
    if not is_signed(keys[checkpoint.key], message_of(checkpoint), checkpoint.signature):
        msg = f"{checkpoint.ref} does not bear the signature of {checkpoint.key}: it was changed"
        raise Corrupted(msg, hint="compare it with a copy")


def require_agreement(
    checkpoints: Iterable[Checkpoint], digests: Mapping[int, str], *, length: int
) -> None:
    """Refuse a ledger that says something else than what was signed of it.

    Args:
        checkpoints: What was signed.
        digests: Digest of the entry of each checkpoint that the ledger has.
        length: How many entries the ledger has.

    Raises:
        Corrupted: If the ledger was cut off, or rewritten.
    """
    for each in checkpoints:
        if each.sequence > length:
            msg = (
                f"the ledger was cut off: it ends at entry {length}, and entry {each.sequence} was"
                f" signed on {each.at:%Y-%m-%d %H:%M}"
            )
            raise Corrupted(msg, hint="compare it with a backup")
        if digests.get(each.sequence) != each.head:
            raise _contradicted(each)


def _created(path: Path, content: bytes) -> bool:
    """Whether a file was created: whole, on disk and read-only, or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with open(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(descriptor)
            os.fchmod(descriptor, READ_ONLY)
        path.hardlink_to(name)
    except FileExistsError:
        return False
    finally:
        Path(name).unlink()
    sync(path.parent)
    return True


def _contradicted(there: Checkpoint) -> Corrupted:
    msg = (
        f"the ledger was rewritten: entry {there.sequence} is not the one that was signed on"
        f" {there.at:%Y-%m-%d %H:%M}"
    )
    return Corrupted(msg, hint="compare it with a backup, or with an earlier export")


def _name(sequence: int) -> str:
    return f"{sequence:012d}.json"
