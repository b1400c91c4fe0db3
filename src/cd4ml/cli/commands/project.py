"""Begin a project, and see where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop.init import Layout
    from cd4ml.loop.status import Stage, Status


def add(commands: Commands) -> None:
    """`init` and `status`."""
    parser = commands.add(
        "init",
        init,
        "lay out a new project",
        "Writes cd4ml.toml and the modules it names into a new or empty folder, and begins\n"
        "a git repository there. Who does it becomes the project's admin.",
    )
    parser.add_argument("folder", metavar="FOLDER", type=Path, help="a new or empty folder")
    parser.add_argument("--name", default="", help="the project's name (default: the folder's)")
    parser.add_argument(
        "--example", default="", metavar="NAME", help="begin from an example, such as flights"
    )
    parser.add_argument(
        "--bare",
        action="store_true",
        help="make a project of an existing folder as it is, to begin with its data",
    )
    commands.add("status", status, "show the eight stages of the loop as they stand")


def init(given: Given) -> Answer[Layout]:
    """Lay out a project."""
    from cd4ml.cli.words import UsageError
    from cd4ml.loop.init import begin
    from cd4ml.loop.init import init as lay_out

    words = given.words
    if words.bare and words.example:
        msg = "cd4ml init: --bare and --example exclude each other"
        raise UsageError(msg, hint="an example is laid out in a new folder")
    if words.bare:
        return Answer(begin(words.folder, name=words.name, actor=given.actor), _show_layout)
    layout = lay_out(words.folder, name=words.name, example=words.example, actor=given.actor)
    return Answer(layout, _show_layout)


def status(given: Given) -> Answer[Status]:
    """The loop as it stands."""
    from cd4ml.loop.status import status as look

    return Answer(look(given.project), _show_status)


def _show_layout(screen: Screen, layout: Layout) -> None:
    screen.line(f"{layout.folder}")
    for file in layout.files:
        screen.line(f"  {file}")
    screen.line("\nnext:")
    for step in layout.next_steps:
        screen.line(f"  {step}", style="bold")


def _show_status(screen: Screen, status: Status) -> None:
    from cd4ml.cli.screen import moment

    clock = "simulated time" if status.is_simulated else "UTC"
    screen.title(f"{status.project}  {moment(status.now)} ({clock})")
    screen.table(("stage", "state", ""), (row for stage in status.stages for row in _rows(stage)))


def _rows(stage: Stage) -> list[tuple[str, str, str]]:
    facts = (("", "", f"  {name}: {value}") for name, value in stage.facts if value)
    return [(stage.name, stage.state, stage.headline), *facts]
