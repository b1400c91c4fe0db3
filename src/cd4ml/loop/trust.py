"""Answer for code that was made elsewhere, so that it may be loaded."""

from __future__ import annotations

from cd4ml.errors import InvalidInput, NotFound
from cd4ml.loop.candidate import estimator_of, without_estimator
from cd4ml.loop.reasons import require_reason
from cd4ml.models import registry
from cd4ml.models import trust as words
from cd4ml.records.trust import Trust
from cd4ml.store import people, rows
from cd4ml.store.address import PREFIX
from cd4ml.store.project import Project

_HINT = "say who made it, and how you know that these are their bytes"


def trust(project: Project, ref: str, *, why: str, actor: str) -> Trust:
    """Let bytes that were made elsewhere be loaded, and run what they say.

    Args:
        project: Where they may be loaded.
        ref: Their content address, or the version whose estimator they are.
        why: What convinced you.
        actor: Who answers for it: an admin, or somebody with a role of `[model] trusted_by`.

    Raises:
        NotFound: If nothing is stored there, or there is no such version.
        NotAllowed: If the actor may not.
        Refused: If nobody knows the version's estimator.
        InvalidInput: If no reason is given, or it is no address.
    """
    require_reason(why, f"trusting {ref}", hint=_HINT)
    address = _address(project, ref)
    with project.database.write() as connection:
        return words.give_word(
            connection,
            address,
            why=why,
            roles=project.settings.model.trusted_by,
            by=people.actor(connection, actor),
            at=project.clock.now(),
        )


def distrust(project: Project, ref: str, *, why: str, actor: str) -> Trust:
    """From now on nothing loads these bytes; an endpoint that has loaded them goes on.

    Raises:
        NotFound: If nobody's word counts for them.
        NotAllowed: If the actor neither gave it nor may give one.
        InvalidInput: If no reason is given, or it is no address.
    """
    require_reason(why, f"no longer trusting {ref}", hint="say what has changed")
    address = _address(project, ref, must_exist=False)
    with project.database.write() as connection:
        return words.take_back(
            connection,
            address,
            why=why,
            roles=project.settings.model.trusted_by,
            by=people.actor(connection, actor),
            at=project.clock.now(),
        )


def trusted(project: Project) -> list[Trust]:
    """Every word that was given, also what was taken back, by digest."""
    with project.database.read() as connection:
        return rows.find(connection, Trust)


def _address(project: Project, ref: str, *, must_exist: bool = True) -> str:
    if ref.startswith(PREFIX):
        if must_exist and not project.blobs.has(ref):
            raise NotFound(f"nothing is stored at {ref}", hint="was the address copied whole?")
        return ref
    if "/" not in ref and "@" not in ref:
        msg = f"expected {PREFIX}DIGEST or MODEL/NUMBER, got {ref!r}"
        raise InvalidInput(msg, hint="the refusal to load it names its address")
    with project.database.read() as connection:
        version = registry.find_version(connection, ref)
    address = estimator_of(project, version)
    if not address:
        raise without_estimator(version)
    return address
