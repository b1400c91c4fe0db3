"""The training rows, counted by groups of people: what `kind = "representation"` needs to see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cd4ml.errors import ConfigurationError
from cd4ml.gates.training_rows import count_training
from cd4ml.loop.gathering.asked import Asked
from cd4ml.records.groupings import groupings_of
from cd4ml.records.representation import Representation
from cd4ml.records.representation_gate import RepresentationGate

if TYPE_CHECKING:
    import polars as pl


def gather(asked: Asked, gates: tuple[RepresentationGate, ...]) -> Representation:
    """The candidate's training rows in cells of all columns that a gate groups by.

    Args:
        asked: The candidate, with its training rows.
        gates: Those of the policy.

    Raises:
        ConfigurationError: If the training rows lack a column that a gate groups by.
    """
    named = [name for gate in gates for columns in groupings_of(gate.groups) for name in columns]
    columns = tuple(dict.fromkeys(named))
    target = asked.project.settings.model.target
    for name in columns:
        _refuse_unless_there(name, asked.training, target)
    return count_training(asked.training, columns, target)


def _refuse_unless_there(name: str, training: pl.DataFrame, target: str) -> None:
    if name == target:
        msg = f"cd4ml.toml: {name!r} is what is to be predicted, and tells no people apart"
        raise ConfigurationError(f"{msg} - at `gate`", hint="group by another column")
    if name not in training.columns:
        msg = f"cd4ml.toml: the training rows have no column {name!r} to group by - at `gate`"
        raise ConfigurationError(msg, hint=f"known: {', '.join(training.columns)}")
