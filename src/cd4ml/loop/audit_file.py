"""The ledger as one file for an auditor, which verifies without a project or a database.

JSON, a line each: what the file is, every entry, every checkpoint, every public key. Who has the
public key from elsewhere needs to believe nothing in it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from cd4ml.errors import (
    AlreadyExists,
    ConfigurationError,
    Corrupted,
    InvalidInput,
    NotFound,
    Unavailable,
)
from cd4ml.loop.audit import AuditReport, checkpoint
from cd4ml.loop.audit_keys import PUBLIC, public_keys, read_public
from cd4ml.records.checkpoint import Checkpoint
from cd4ml.records.ledger_entry import LedgerEntry
from cd4ml.store import checkpoints, people, rows
from cd4ml.store import ledger as store
from cd4ml.store.project import Project
from cd4ml.store.signing import key_id
from cd4ml.store.vouched import FOUND_CHANGED, Told

FORMAT = "cd4ml-audit/1"

_HINT = "ask for another copy; `cd4ml audit export` writes one"


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The first line: which ledger it is, and how much of it follows."""

    format: str
    project: str
    entries: int
    head: str
    checkpoints: int
    exported_at: datetime
    exported_by: str


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A file that was written."""

    path: str
    entries: int
    checkpoints: int
    signed_until: int


class FileReport(msgspec.Struct, frozen=True, kw_only=True):
    """A file that holds, and whose word that is.

    `is_pinned` says that the keys came from elsewhere; else they are the file's own, and `keys`
    has to be compared with what the project's owners say.
    """

    header: Header
    report: AuditReport
    is_pinned: bool
    project: str  # as it was signed; where nothing was, the file's own word


def export(project: Project, path: Path, *, actor: str) -> Exported:
    """Write the whole ledger, its checkpoints and its public keys into one new file.

    Where a key is, the ledger is signed first, so that the file is vouched for up to its end.

    Raises:
        AlreadyExists: If there is such a file.
        NotFound: If nobody has the actor's name.
        Corrupted: If the ledger does not hold.
        Unavailable: If the file cannot be written, or the checkpoints' place does not answer.
    """
    if path.exists():
        raise AlreadyExists(f"{path} is there already", hint="give it another name")
    with project.database.read() as connection:
        people.actor(connection, actor)
    if project.signing_key.exists():
        checkpoint(project, actor=actor)
    signed = project.checkpoints.all()
    fresh = path.with_name(f"{path.name}.part-{os.getpid()}")
    try:
        with fresh.open("xb") as file:
            for line in _lines(project, signed, actor):
                file.write(line + b"\n")
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(fresh)
    except FileExistsError:
        raise AlreadyExists(f"{path} is there already", hint="give it another name") from None
    except OSError as error:
        msg = f"the export cannot be written to {path}: {error.strerror}"
        raise Unavailable(
            msg, hint="is there such a folder, and may this user write there?"
        ) from None
    finally:
        fresh.unlink(missing_ok=True)
    header = _header_of(path)
    last = max((each.sequence for each in signed), default=0)
    return Exported(
        path=str(path),
        entries=header.entries,
        checkpoints=header.checkpoints,
        signed_until=last,
    )


def verify_file(path: Path, *, keys: Sequence[Path] = ()) -> FileReport:
    """Check an export by itself: its chain, its signatures, and that both say the same.

    Args:
        path: The file.
        keys: Files with public keys from elsewhere; the file's own by default.

    Raises:
        Corrupted: If it is not whole, was changed, or is no export; it names where.
        ConfigurationError: If a file cannot be read.
    """
    header, read = _header_of(path), _Read()
    for number, line in enumerate(_lines_of(path), 1):
        if number > 1:
            read.take(line, number, path)
    if (read.length, read.head) != (header.entries, header.head):
        msg = f"{path} was cut off: its first line says {header.entries} entries, it has"
        raise Corrupted(f"{msg} {read.length}", hint=_HINT)
    if len(read.signed) != header.checkpoints:
        msg = f"{path} was cut off: its first line says {header.checkpoints} checkpoints, it has"
        raise Corrupted(f"{msg} {len(read.signed)}", hint=_HINT)
    pinned = {key_id(pem): pem for pem in map(read_public, keys)}
    checkpoints.require_whole(read.signed, pinned or read.keys)
    wanted = {each.sequence for each in read.signed}
    known = {sequence: digest for sequence, digest in read.digests.items() if sequence in wanted}
    checkpoints.require_agreement(read.signed, known, length=read.length)
    last = read.signed[-1] if read.signed else None
    report = AuditReport(
        entries=read.length,
        head=read.head,
        checkpoints=len(read.signed),
        signed_until=last.sequence if last else 0,
        signed_at=last.at if last else None,
        keys=tuple(dict.fromkeys(each.key for each in read.signed)),
        found_changed=tuple(read.found_changed),
    )
    project = last.project if last else header.project
    return FileReport(header=header, report=report, is_pinned=bool(pinned), project=project)


def _lines(project: Project, signed: Sequence[Checkpoint], actor: str) -> Iterator[bytes]:
    encode = msgspec.json.encode
    with project.database.read() as connection:
        told = Told()
        length = store.verify(connection, told.take)
        told.verify(connection)
        newest = store.entries(connection, limit=1)
        yield encode(
            Header(
                format=FORMAT,
                project=project.settings.project.name,
                entries=length,
                head=newest[0].digest if newest else store.GENESIS,
                checkpoints=len(signed),
                exported_at=project.clock.now(),
                exported_by=actor,
            )
        )
        with closing(rows.each(connection, LedgerEntry)) as entries:
            for entry in entries:
                yield encode({"entry": entry})
    for each in signed:
        yield encode({"checkpoint": each})
    for pem in public_keys(project.folder / PUBLIC).values():
        yield encode({"key": pem.decode()})


class _Read:
    """What was read of a file so far; the chain is checked as it comes."""

    def __init__(self) -> None:
        self.length = 0
        self.head = store.GENESIS
        self.digests: dict[int, str] = {}
        self.signed: list[Checkpoint] = []
        self.keys: dict[str, bytes] = {}
        self.found_changed: list[int] = []

    def take(self, line: bytes, number: int, path: Path) -> None:
        """One line."""
        kinds: dict[str, Any] = {"entry": LedgerEntry, "checkpoint": Checkpoint, "key": str}
        try:
            (kind, value), *others = msgspec.json.decode(line, type=dict[str, Any]).items()
            found = msgspec.convert(value, kinds[kind])
            if others:
                raise ValueError(others)
            self._keep(found)
        except (msgspec.MsgspecError, InvalidInput, ValueError, KeyError):
            msg = f"{path}, line {number}: neither entry, nor checkpoint, nor key"
            raise Corrupted(msg, hint=_HINT) from None

    def _keep(self, found: LedgerEntry | Checkpoint | str) -> None:
        if isinstance(found, LedgerEntry):
            store.require_next(found, self.length + 1, self.head)
            self.length, self.head = found.sequence, found.digest
            self.digests[found.sequence] = found.digest
            if found.action == FOUND_CHANGED:
                self.found_changed.append(found.sequence)
        elif isinstance(found, Checkpoint):
            self.signed.append(found)
        else:
            self.keys[key_id(found.encode())] = found.encode()


def _header_of(path: Path) -> Header:
    line = next(_lines_of(path), b"")
    try:
        header = msgspec.json.decode(line, type=Header)
    except msgspec.MsgspecError:
        header = None
    if header is None or header.format != FORMAT:
        raise Corrupted(f"{path} is no export of a ledger", hint=_HINT)
    return header


def _lines_of(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            for line in file:
                yield line.rstrip(b"\n")
    except FileNotFoundError:
        raise NotFound(f"there is no file {path}", hint="cd4ml audit export writes one") from None
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
