"""What the ledger says about registered models and their versions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from cd4ml.records.model_version import ModelVersion, RegisteredModel
from cd4ml.store import ledger


def subject(thing: RegisteredModel | ModelVersion) -> str:
    """What people call it."""
    return thing.ref if isinstance(thing, ModelVersion) else thing.name


def say(
    connection: sa.Connection,
    thing: RegisteredModel | ModelVersion,
    what: str,
    *,
    why: str = "",
    by: str,
    at: datetime,
    **details: Any,
) -> None:
    """Write down what was done with a model or a version, which is in its table as it is now."""
    kind = "model_version" if isinstance(thing, ModelVersion) else "model"
    ledger.append(
        connection,
        at=at,
        actor=by,
        action=f"{kind}.{what}",
        subject=subject(thing),
        reason=why,
        details=details,
        records=(thing,) if isinstance(thing, ModelVersion) else (),
    )
