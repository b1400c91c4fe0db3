"""Log in the run that the code is part of, whichever that is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from cd4ml.errors import InvalidInput
from cd4ml.experiments.run_log import RunLog
from cd4ml.store.tracking.recorder import current


def current_run() -> RunLog:
    """The run that this code is part of: of its step, or of the `with cd4ml.run(...)` around it.

    Raises:
        InvalidInput: If there is none.
    """
    recorder = current()
    if recorder is None:
        msg = "nothing is logged here: this code runs neither in a step nor in a run"
        raise InvalidInput(msg, hint="with cd4ml.run('EXPERIMENT') as run: ...")
    return RunLog(recorder)


def log(
    values: Mapping[str, Any] | None = None,
    /,
    *,
    step: int | None = None,
    at: datetime | None = None,
    **metrics: Any,
) -> None:
    """Log values of metrics in the run that this code is part of; see `RunLog.log`.

    Where code is called outside a run, as in a test, nothing is logged.
    """
    recorder = current()
    if recorder is not None:
        RunLog(recorder).log(values, step=step, at=at, **metrics)
