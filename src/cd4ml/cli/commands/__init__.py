"""The commands, in the order of the loop; each file adds a family of them."""

from collections.abc import Callable

from cd4ml.cli.commands import (
    data,
    experiments,
    feedback,
    history,
    judging,
    lineage,
    mlflow,
    models,
    people,
    pipeline,
    project,
    rehearsal,
    releases,
    reproduction,
    run_details,
    runs,
    searches,
    services,
    tokens,
    tracking,
)
from cd4ml.cli.words import Commands

FAMILIES: tuple[Callable[[Commands], None], ...] = (
    project.add,
    data.add,
    pipeline.add,
    runs.add,
    reproduction.add,
    tracking.add,
    experiments.add,
    searches.add,
    run_details.add,
    judging.add,
    models.add_to,
    releases.add,
    services.add,
    feedback.add,
    history.add,
    lineage.add,
    mlflow.add,
    people.add,
    tokens.add,
    rehearsal.add,
)
