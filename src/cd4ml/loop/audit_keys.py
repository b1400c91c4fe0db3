"""The keys with which the ledger's checkpoints are signed and checked."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from cd4ml.errors import ConfigurationError, NotFound, Unavailable
from cd4ml.store import ledger, people
from cd4ml.store.project import Project
from cd4ml.store.signing import key_id, new_key, public_of

PUBLIC = "audit-keys"  # beside cd4ml.toml, committed with it
MADE = "audit_key.made"

_PRIVATE = 0o600


class AuditKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key: what it is called, and where its two parts lie."""

    id: str
    private: str
    public: str
    is_new: bool


def make_key(project: Project, *, replaces: bool = False, actor: str) -> AuditKey:
    """The key that signs this project's checkpoints; made if there is none yet.

    The private part lies in the project's state, or where CD4ML_AUDIT_KEY says, readable for its
    owner alone. The public one lies beside `cd4ml.toml`: commit it, so that who verifies has it
    from where changes are reviewed.

    Args:
        project: Whose ledger.
        replaces: Make another one; the old private part is kept beside it, its public part goes
            on checking what it signed.
        actor: Who makes it: an admin.

    Raises:
        NotAllowed: If the actor is no admin.
        Unavailable: If a file cannot be written.
    """
    with project.database.read() as connection:
        who = people.actor(connection, actor)
        people.require_role(who, (people.ADMIN,), what="make the key of the ledger")
    path = project.signing_key
    is_new = replaces or not path.exists()
    try:
        if is_new:
            _write_private(path, new_key())
        public = public_of(path.read_bytes())
        named = _write_public(project.folder / PUBLIC, public)
    except OSError as error:
        msg = f"the key cannot be written to {path.parent}: {error.strerror}"
        raise Unavailable(msg, hint="CD4ML_AUDIT_KEY names another file") from None
    _note(project, public, actor)
    return AuditKey(id=key_id(public), private=str(path), public=str(named), is_new=is_new)


def private_key(project: Project) -> bytes:
    """The private part.

    Raises:
        NotFound: If there is none here.
        Unavailable: If it cannot be read.
    """
    path = project.signing_key
    try:
        return path.read_bytes()
    except FileNotFoundError:
        msg = f"there is no key to sign the ledger with: {path}"
        raise NotFound(msg, hint="cd4ml audit key makes one") from None
    except OSError as error:
        msg = f"the key {path} cannot be read: {error.strerror}"
        raise Unavailable(msg, hint="may this user read it?") from None


def public_keys(folder: Path) -> dict[str, bytes]:
    """The public keys in a folder, by their ids.

    Raises:
        ConfigurationError: If a file there is no key.
    """
    return {key_id(pem): pem for pem in map(read_public, sorted(folder.glob("*.pub")))}


def read_public(path: Path) -> bytes:
    """The public key in a file.

    Raises:
        ConfigurationError: If there is none.
    """
    from cd4ml.errors import InvalidInput

    try:
        pem = path.read_bytes()
        key_id(pem)
    except OSError as error:
        msg = f"the key {path} cannot be read: {error.strerror}"
        raise ConfigurationError(msg, hint="a file of audit-keys/") from None
    except InvalidInput:
        msg = f"{path} is no public Ed25519 key"
        raise ConfigurationError(msg, hint="cd4ml audit key writes one") from None
    return pem


def _write_private(path: Path, pem: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists():
        kept = path.with_name(f"{key_id(public_of(path.read_bytes())).replace(':', '-')}.pem")
        path.rename(kept)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
    try:
        os.write(descriptor, pem)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    try:
        path.hardlink_to(fresh)  # of two who make one at once, one wins
    except FileExistsError:
        pass
    finally:
        fresh.unlink()


def _write_public(folder: Path, pem: bytes) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{key_id(pem).replace(':', '-')}.pub"
    path.write_bytes(pem)
    return path


def _note(project: Project, public: bytes, actor: str) -> None:
    """Write a key down, once."""
    name = key_id(public)
    with project.database.write() as connection:
        known = ledger.entries(connection, name)
        if not any(entry.action == MADE for entry in known):
            ledger.append(
                connection,
                at=project.clock.now(),
                actor=actor,
                action=MADE,
                subject=name,
                details={"public": public.decode()},
            )
