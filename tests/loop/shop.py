"""A small project whose rows come from outside: bicycle rides."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from cd4ml.data.refs import find_version
from cd4ml.data.versions import scan_version
from cd4ml.loop import Project, open_project
from cd4ml.loop.people import add_person
from cd4ml.store.clock import SharedClock
from tests.loop.world import ANN, BEGIN, EVE

CONTRACTS = """\
from cd4ml import Contract, Field

Rides = Contract(
    name="Rides",
    fields=(
        Field("ride", "integer", minimum=1),
        Field("station", "string", categories=("Harbour", "Market", "Park")),
        Field("minutes", "number", nullable=True, minimum=0, maximum=1440),
        Field("left_at", "datetime"),
    ),
    key=("ride",),
)
"""


def lay_out(folder: Path, settings: str, *, is_simulated: bool = True) -> Path:
    """A project with these `[data.NAME]` and two people; its clock stands at BEGIN."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cd4ml.toml").write_text(f'[project]\nname = "shop"\n\n{settings}')
    (folder / "contracts.py").write_text(CONTRACTS)
    (folder / "pipeline.py").write_text("")
    if is_simulated:
        SharedClock.create(folder / ".cd4ml" / "clock", BEGIN)
    with open_project(folder) as project:
        add_person(project, ANN, roles=(), actor=ANN)
        add_person(project, EVE, roles=(), actor=ANN)
    return folder


@contextmanager
def shop(folder: Path, settings: str) -> Iterator[Project]:
    """Such a project, open."""
    with open_project(lay_out(folder, settings)) as project:
        yield project


def ride(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A row that keeps the contract, as JSON has it."""
    given = {"ride": number, "station": "Park", "minutes": 7.5, "left_at": "2013-02-01T08:00:00Z"}
    return {**given, **changes}


def table(project: Project, ref: str) -> pl.DataFrame:
    """The rows of a version."""
    with project.database.read() as connection:
        return scan_version(project.files, find_version(connection, ref)).collect()
