"""A program: log, bring and name models in a child that is killed at one step, for every step.

    python -m tests.loop.kill_registry FOLDER

FOLDER is a project in which run/1 has rows and run/2 has begun. A step is a source line of what
writes, that no earlier attempt was killed at; each attempt has names of its own, and what a dead one
left is done again by a child that lives. Prints how many were killed.
"""

import sys
from pathlib import Path

import polars  # noqa: F401  # imported before the forks, which then cost next to nothing

from cd4ml.loop import Project, log_model, open_project
from cd4ml.loop.bring_model import bring_model
from cd4ml.loop.registry import alias_history, set_alias, tag, version_of
from cd4ml.models import registry
from cd4ml.store import ledger
from tests.killing import Work, kill_at_every_step
from tests.loop.world import ANN

WATCHED = {
    log_model.__file__: {"log_model", "_stored", "_registered"},
    bring_model.__code__.co_filename: {"bring_model"},
    registry.add_version.__code__.co_filename: {"add_version"},
    set_alias.__code__.co_filename: {"set_alias"},
}


class Fitted:
    """Something that can be pickled and predicts."""

    def __init__(self, number: int) -> None:
        self.number = number

    def predict(self, rows: object) -> object:
        """The same for all."""
        return rows


def steps(project: Project, n: int) -> None:
    """A notebook's model and one from elsewhere become versions, and are named."""
    name, brought = f"m{n}", f"b{n}"
    log_model.log_model(project, 2, Fitted(n), name=name, register=name, actor=ANN)
    bring_model(project, brought, project.folder / "model.pkl", rows_of="run/1", actor=ANN)
    set_alias(project, f"{name}/1", "shadow", actor=ANN)
    tag(project, f"{name}/1", {"a": "b"}, actor=ANN)


def again(folder: Path, n: int) -> None:
    """The same commands: they go on, and nothing is there twice."""
    with open_project(folder) as project:
        steps(project, n)
        found = version_of(project, f"m{n}@shadow").version
        assert (found.ref, found.tags) == (f"m{n}/1", {"a": "b"})
        assert project.blobs.get(found.logged)
        assert version_of(project, f"b{n}").version.ref == f"b{n}/1"
        assert len(alias_history(project, f"m{n}@shadow")) == 1
        with project.database.read() as connection:
            ledger.verify(connection)


def main(folder: Path) -> None:
    """Kill at each step in turn, until an attempt comes to its end."""

    def attempt(n: int) -> Work:
        project = open_project(folder)
        return lambda: steps(project, n)

    n = kill_at_every_step(
        attempt,
        lambda code: code.co_name in WATCHED.get(code.co_filename, ()),
        afterwards=lambda n: again(folder, n),
    )
    sys.stdout.write(str(n))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
