"""How people name a version: by number, tag or date, or just the newest one."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa

from cd4ml.data.moments import refuse_naive
from cd4ml.data.published import require_version_by
from cd4ml.data.versions import require_newest
from cd4ml.errors import InvalidInput, NotFound
from cd4ml.records.dataset import Dataset, DatasetVersion, RemovedVersion, Tag
from cd4ml.store import ledger, rows
from cd4ml.store.tables import TABLES

if TYPE_CHECKING:
    from sqlalchemy import Connection

_NUMBER = re.compile(r"v?([0-9]{1,18})")
_TAG = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,99}")
_MONTH = re.compile(r"[0-9]{4}-[0-9]{2}")
_FORMS = "for example flights@3, flights@v3, flights@quarter-1 or flights@2013-03-31"


def find_version(connection: Connection, ref: str) -> DatasetVersion:
    """The version that a ref names.

    `name` is the newest one, `name@3` and `name@v3` the third, `name@tag` the one with
    the tag, and `name@2013-03-31` the newest one when that day (UTC) began; a month or a time
    may be given too: `name@2013-03`, `name@2013-03-31T12:00`.

    Raises:
        NotFound: If there is none, or it was removed.
        InvalidInput: If the ref has another form.
    """
    name, at_sign, which = ref.partition("@")
    version = _named(connection, name, which, ref) if at_sign else require_newest(connection, name)
    removed = rows.find(connection, RemovedVersion, dataset=version.dataset, number=version.number)
    if removed:
        msg = f"{version.ref} was removed on {removed[0].removed_at:%Y-%m-%d} by {removed[0].removed_by}"
        raise NotFound(msg, hint=f"cd4ml data log {name} lists the versions that are kept")
    return version


def version_at(connection: Connection, ref: str, moment: datetime) -> DatasetVersion:
    """The newest version of `name` that had been published by a moment, or `name@number`.

    Raises:
        NotFound: If there is no such dataset or version, or it had none yet.
        InvalidInput: If the moment has no time zone, or the ref another form.
    """
    refuse_naive(moment)
    if "@" in ref:
        return find_version(connection, ref)
    return require_version_by(connection, ref, moment)


def set_tag(
    connection: Connection, version: DatasetVersion, tag: str, *, at: datetime, actor: str
) -> Tag:
    """Give a version a name, which another one may have had before.

    Raises:
        InvalidInput: If the name could be taken for a number or a date.
    """
    if not _TAG.fullmatch(tag) or _NUMBER.fullmatch(tag):
        msg = f"expected a tag of letters, digits, '.', '_' and '-' that is no number, got {tag!r}"
        raise InvalidInput(msg, hint="it begins with a letter: quarter-1, good")
    known = rows.find(connection, Tag, dataset=version.dataset, name=tag)
    if known and known[0].number == version.number:
        return known[0]
    wanted = Tag(dataset=version.dataset, name=tag, number=version.number, set_at=at, set_by=actor)
    rows.put(connection, wanted)
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="dataset.tagged",
        subject=version.ref,
        details={"tag": tag, "before": known[0].number if known else 0},
    )
    return wanted


def remove_tag(connection: Connection, dataset: str, tag: str, *, at: datetime, actor: str) -> None:
    """Take a name away from its version.

    Raises:
        NotFound: If there is no such tag.
    """
    known = rows.get(connection, Tag, dataset, tag)
    table = TABLES[Tag]
    connection.execute(
        table.delete().where(sa.and_(table.c.dataset == dataset, table.c.name == tag))
    )
    ledger.append(
        connection,
        at=at,
        actor=actor,
        action="dataset.untagged",
        subject=f"{dataset}@{known.number}",
        details={"tag": tag},
    )


def _named(connection: Connection, name: str, which: str, ref: str) -> DatasetVersion:
    if number := _NUMBER.fullmatch(which):
        return rows.get(connection, DatasetVersion, name, int(number[1]))
    if _TAG.fullmatch(which):
        return _tagged(connection, name, which)
    return require_version_by(connection, name, _moment(which, ref))


def _tagged(connection: Connection, name: str, tag: str) -> DatasetVersion:
    rows.get(connection, Dataset, name)
    found = rows.find(connection, Tag, dataset=name, name=tag)
    if found:
        return rows.get(connection, DatasetVersion, name, found[0].number)
    tags = ", ".join(each.name for each in rows.find(connection, Tag, dataset=name)) or "none"
    msg = f"no version of {name!r} has the tag {tag!r}"
    raise NotFound(msg, hint=f"known: {tags}; cd4ml data tag {name}@NUMBER {tag}")


def _moment(text: str, ref: str) -> datetime:
    try:
        whole = f"{text}-01" if _MONTH.fullmatch(text) else text  # the month's beginning
        moment = datetime.fromisoformat(whole)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        msg = f"expected NAME@NUMBER, NAME@TAG or NAME@DATE, got {ref!r}"
        raise InvalidInput(msg, hint=_FORMS) from None
