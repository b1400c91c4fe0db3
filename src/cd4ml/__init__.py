"""Continuous Delivery for Machine Learning in one Python package.

What a project's own modules and notebooks need is here; everything else is reached through
`cd4ml VERB` on the command line. Names are loaded when they are first used, so
that importing cd4ml costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cd4ml.data.join import join_as_of
    from cd4ml.data.known import known_at
    from cd4ml.data.split import Split, split
    from cd4ml.experiments.here import current_run, log
    from cd4ml.experiments.reporting import Pruned, report
    from cd4ml.loop.from_notebook import log_model
    from cd4ml.loop.load import load
    from cd4ml.loop.read import dataset
    from cd4ml.loop.track import run
    from cd4ml.pipeline.command import command
    from cd4ml.pipeline.step import Metrics, Model, step
    from cd4ml.records.contract import Condition, Contract, Field

__version__ = "0.1.0"
__all__ = [
    "Condition",
    "Contract",
    "Field",
    "Metrics",
    "Model",
    "Pruned",
    "Split",
    "__version__",
    "command",
    "current_run",
    "dataset",
    "join_as_of",
    "known_at",
    "load",
    "log",
    "log_model",
    "report",
    "run",
    "split",
    "step",
]

_HOME = {
    "Condition": "cd4ml.records.contract",
    "Contract": "cd4ml.records.contract",
    "Field": "cd4ml.records.contract",
    "Metrics": "cd4ml.pipeline.step",
    "Model": "cd4ml.pipeline.step",
    "Pruned": "cd4ml.experiments.reporting",
    "Split": "cd4ml.data.split",
    "command": "cd4ml.pipeline.command",
    "current_run": "cd4ml.experiments.here",
    "dataset": "cd4ml.loop.read",
    "join_as_of": "cd4ml.data.join",
    "known_at": "cd4ml.data.known",
    "load": "cd4ml.loop.load",
    "log": "cd4ml.experiments.here",
    "log_model": "cd4ml.loop.from_notebook",
    "report": "cd4ml.experiments.reporting",
    "run": "cd4ml.loop.track",
    "split": "cd4ml.data.split",
    "step": "cd4ml.pipeline.step",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module 'cd4ml' has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(_HOME[name]), name)
