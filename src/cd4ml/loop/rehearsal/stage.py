"""Where a rehearsal plays: the project, the world outside, the ports, the teller."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, Protocol, cast

import msgspec

from cd4ml.errors import ConfigurationError, RehearsalFailed
from cd4ml.loop.rehearsal.processes import process
from cd4ml.loop.rehearsal.tell import Teller
from cd4ml.loop.rehearsal.traffic import Application
from cd4ml.store.clock import SharedClock
from cd4ml.store.project import Project

HOST = "127.0.0.1"
SCIENTIST = "data-scientist"
MANAGER = "release-manager"
ROBOT = "application"  # the program that asks the endpoint and reports what came true

_READY_S = 60.0


class World(Protocol):
    """The module that an example brings: what happens outside, and when.

    `requests` gives one row a request, in the order they are asked: `key` (unique),
    `event_at`, the raw fields of the request, `label` and `label_at` (when the truth
    is known; null: never).
    """

    BEGIN: datetime  # of production, aware
    GRID: dict[str, list[Any]]  # parameters worth searching
    CORRUPTED: dict[str, Any]  # parameters of a deliberately bad candidate

    def lay_out(self, folder: Path) -> None:
        """Write what is known at the beginning."""

    def requests(self, start: datetime, end: datetime) -> Any:
        """The requests from `start` (included) to `end` (excluded), a Polars DataFrame."""


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a scene needs."""

    project: Project
    world: World
    clock: SharedClock
    port: int  # of the console; the endpoints have the two after it
    tell: Teller

    @property
    def production_port(self) -> int:
        """Of the production endpoint."""
        return self.port + 1

    @property
    def staging_port(self) -> int:
        """Of the staging endpoint."""
        return self.port + 2


def load_world(folder: Path, name: str) -> World:
    """The world module of a project.

    Args:
        folder: The project's, or an example's.
        name: Of the module, as `[rehearsal] world` has it.

    Raises:
        ConfigurationError: If it is not there or lacks something.
    """
    path = folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"cd4ml_world_{name}", path)
    if not path.exists() or spec is None or spec.loader is None:
        msg = f"{folder / 'cd4ml.toml'}: no module {path.name} plays the outside world"
        raise ConfigurationError(msg, hint="name it under [rehearsal] world")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    _refuse_incomplete(module, path)
    return cast("World", module)


def _refuse_incomplete(module: ModuleType, path: Path) -> None:
    wanted = ("BEGIN", "GRID", "CORRUPTED", "lay_out", "requests")
    missing = [name for name in wanted if not hasattr(module, name)]
    if missing:
        msg = f"{path} lacks {', '.join(missing)}"
        raise ConfigurationError(msg, hint="docs/rehearsal.md says what a world has")


class Serving(NamedTuple):
    """A serving process, and the application that asks it."""

    application: Application
    process: subprocess.Popen[bytes]

    def follow(self, plan: int) -> None:
        """Wait until the endpoint answers with this plan or a newer one."""
        self.application.wait_until_ready(process=self.process, plan=plan, timeout_s=_READY_S)


@contextmanager
def endpoint(stage: Stage, environment: str, port: int) -> Iterator[Serving]:
    """A serving process for an environment, ready to answer, until the block ends."""
    arguments = ["serve", "--in", environment]
    log = stage.project.state / "logs" / f"serve-{environment}.log"
    with (
        process(arguments, host=HOST, port=port, folder=stage.project.folder, log=log) as child,
        Application(HOST, port) as application,
    ):
        serving = Serving(application, child)
        serving.follow(plan=1)
        yield serving


def expect(happened: bool, what: str) -> None:
    """End the rehearsal unless this happened.

    Raises:
        RehearsalFailed: Saying what did not.
    """
    if not happened:
        msg = f"the story broke: {what}"
        raise RehearsalFailed(msg, hint="the ledger (cd4ml audit log) shows what was done before")
