"""The commands, in the order of the loop; each file adds a family of them."""

from collections.abc import Callable

from cd4ml.cli.commands import (
    data,
    feedback,
    history,
    judging,
    lineage,
    mlflow,
    models,
    people,
    project,
    rehearsal,
    releases,
    runs,
    services,
    tracking,
)
from cd4ml.cli.words import Commands

FAMILIES: tuple[Callable[[Commands], None], ...] = (
    project.add,
    data.add,
    runs.add,
    tracking.add,
    judging.add,
    models.add_to,
    releases.add,
    services.add,
    feedback.add,
    history.add,
    lineage.add,
    mlflow.add,
    people.add,
    rehearsal.add,
)
