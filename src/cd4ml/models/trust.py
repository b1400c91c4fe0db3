"""Which pickles may be loaded: loading one can run any code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from cd4ml.errors import Refused
from cd4ml.records.run import StepRun
from cd4ml.store.rows import find

if TYPE_CHECKING:
    from cd4ml.store.database import Database

IsTrusted = Callable[[str], bool]


def recorded_by_a_run(database: Database) -> IsTrusted:
    """Trust exactly the addresses that a run of this project recorded as a step's output."""

    def is_trusted(address: str) -> bool:
        with database.read() as connection:
            return bool(find(connection, StepRun, output=address, limit=1))

    return is_trusted


def refuse_unless_trusted(address: str, is_trusted: IsTrusted) -> None:
    """Let nothing be unpickled that this project did not make.

    Raises:
        Refused: If no run recorded the address.
    """
    if not is_trusted(address):
        msg = f"the estimator at {address} was not made by a run of this project"
        hint = "loading it could run any code; train it here, or package a model in ONNX"
        raise Refused(msg, hint=hint)
