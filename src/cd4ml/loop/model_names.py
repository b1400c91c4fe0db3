"""Which model is meant, of those there are."""

from __future__ import annotations

import sqlalchemy as sa

from cd4ml.errors import NotFound
from cd4ml.records.model_version import ModelVersion
from cd4ml.store import rows


def refuse_unknown_model(connection: sa.Connection, model: str) -> None:
    """Refuse a model of which there is no version; "" stands for all of them.

    Raises:
        NotFound: If there is none; the hint lists those there are.
    """
    if model and not rows.count(connection, ModelVersion, model=model):
        known = sorted({version.model for version in rows.find(connection, ModelVersion)})
        raise NotFound(f"no model named {model!r}", hint=f"known: {', '.join(known) or 'none yet'}")


def only_model(connection: sa.Connection) -> str:
    """The model where there is but one.

    Raises:
        NotFound: If there are several, or none yet.
    """
    names = sorted({version.model for version in rows.find(connection, ModelVersion)})
    if len(names) == 1:
        return names[0]
    msg = f"which model? there are {', '.join(names) or 'none yet'}"
    raise NotFound(msg, hint="name one with --model")
