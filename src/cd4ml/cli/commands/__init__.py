"""The commands, in the order of the loop; each file adds a family of them."""

from collections.abc import Callable

from cd4ml.cli.commands import (
    data,
    feedback,
    history,
    judging,
    lineage,
    people,
    project,
    rehearsal,
    releases,
    run_details,
    runs,
    services,
)
from cd4ml.cli.words import Commands

FAMILIES: tuple[Callable[[Commands], None], ...] = (
    project.add,
    data.add,
    runs.add,
    run_details.add,
    judging.add,
    releases.add,
    services.add,
    feedback.add,
    history.add,
    lineage.add,
    people.add,
    rehearsal.add,
)
