"""Which bytes may be loaded although that can run any code: pickles, and what crashes its reader.

Two things let them: a run of this project pickled them itself, or somebody who may has given
their word for exactly these bytes. Everything that loads asks each time.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec
import sqlalchemy as sa

from cd4ml.errors import NotFound, Refused
from cd4ml.records.run import StepRun
from cd4ml.records.trust import Trust
from cd4ml.store import ledger, people, rows
from cd4ml.store.people import ADMIN
from cd4ml.store.storable import problem
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from cd4ml.records.actor import Actor
    from cd4ml.store.database import Database

IsTrusted = Callable[[str], bool]

_STEPS = TABLES[StepRun]

_DOING = "say which code may run that was made elsewhere"


def trusted_in(database: Database) -> IsTrusted:
    """Trust the models that runs of this project made, and what people gave their word for."""

    def is_trusted(address: str) -> bool:
        if problem(address):  # no database can be asked for it
            return False
        with database.read() as connection:
            return is_ours(connection, address) or word_for(connection, address) is not None

    return is_trusted


def is_ours(connection: sa.Connection, address: str) -> bool:
    """Whether a run of this project pickled these bytes: as a model, not as a file it passed on."""
    if not address:
        return False
    made = _STEPS.c.output == address, _STEPS.c.kind == "model"
    return connection.execute(sa.select(_STEPS.c.run).where(*made).limit(1)).first() is not None


def word_for(connection: sa.Connection, address: str) -> Trust | None:
    """Whose word counts for these bytes now; None if nobody's does."""
    given = rows.find(connection, Trust, digest=address)
    return given[0] if given and given[0].revoked_at is None else None


def give_word(
    connection: sa.Connection,
    address: str,
    *,
    why: str,
    roles: tuple[str, ...],
    by: Actor,
    at: datetime,
) -> Trust:
    """Let bytes that were made elsewhere be loaded, and run what they say.

    Args:
        connection: Of a write transaction.
        address: Of exactly these bytes.
        why: What convinced them.
        roles: Who may, besides admins.
        by: Who.
        at: Now.

    Raises:
        NotAllowed: If they may not.
    """
    allowed = (ADMIN, *roles)
    people.require_role(by, allowed, what=_DOING)
    if known := word_for(connection, address):
        return known
    role = next(role for role in allowed if role in by.roles)
    given = Trust(digest=address, why=why, role=role, given_at=at, given_by=by.name)
    rows.put(connection, given)
    _say(connection, "trusted", given, why=why, by=by.name, at=at, role=role)
    return given


def take_back(
    connection: sa.Connection,
    address: str,
    *,
    why: str,
    roles: tuple[str, ...],
    by: Actor,
    at: datetime,
) -> Trust:
    """From now on nothing loads these bytes; what has loaded them goes on.

    Raises:
        NotFound: If nobody's word counts for them.
        NotAllowed: If the actor neither gave it nor may give one.
    """
    given = word_for(connection, address)
    if given is None:
        raise NotFound(f"nobody said that {address} may be loaded", hint="cd4ml model trusted")
    if given.given_by != by.name:
        people.require_role(by, (ADMIN, *roles), what=_DOING)
    ended = msgspec.structs.replace(given, revoked_at=at, revoked_by=by.name)
    rows.put(connection, ended)
    _say(connection, "distrusted", ended, why=why, by=by.name, at=at)
    return ended


def refuse_unless_trusted(address: str, is_trusted: IsTrusted) -> None:
    """Let nothing be unpickled that neither this project made nor anybody answers for.

    Raises:
        Refused: If so.
    """
    if not is_trusted(address):
        msg = f"the estimator at {address} was not made by a run of this project"
        hint = f"loading it could run any code; who knows it: cd4ml model trust {address} --why ..."
        raise Refused(msg, hint=hint)


def _say(
    connection: sa.Connection,
    what: str,
    trust: Trust,
    *,
    why: str,
    by: str,
    at: datetime,
    **details: str,
) -> None:
    ledger.append(
        connection,
        at=at,
        actor=by,
        action=f"pickle.{what}",
        subject=trust.digest,
        reason=why,
        details=details,
    )
