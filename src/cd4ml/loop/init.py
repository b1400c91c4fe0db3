"""Lay out a new project."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import msgspec

from cd4ml.errors import AlreadyExists, InvalidInput, NotFound
from cd4ml.store import people
from cd4ml.store.project import FILE, STATE, open_project

STARTER = "starter"

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


class Layout(msgspec.Struct, frozen=True, kw_only=True):
    """What was laid out, and what to type next."""

    folder: str
    files: tuple[str, ...]
    next_steps: tuple[str, ...]


def init(folder: Path, *, name: str = "", example: str = "", actor: str) -> Layout:
    """Lay out a project in a new or empty folder; the actor becomes its admin.

    Args:
        folder: Where; created if it does not exist.
        name: The project's name; the folder's by default.
        example: The example to begin from; a small starter by default.
        actor: Who.

    Raises:
        AlreadyExists: If the folder has something in it.
        NotFound: If there is no such example.
        InvalidInput: If the name is not lower-case letters, digits, dots and dashes.
    """
    folder = folder.absolute()
    name = name or folder.name.lower()
    _refuse_bad_name(name)
    _refuse_unless_empty(folder)
    source = example_folder(example or STARTER)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".cd4ml-init-") as scratch:
        draft = Path(scratch) / "project"
        shutil.copytree(source, draft, ignore=shutil.ignore_patterns("__pycache__"))
        _rename(draft / FILE, name)
        _lay_out_data(draft)
        if folder.exists():
            folder.rmdir()
        draft.rename(folder)
    _begin_history(folder, actor)
    with open_project(folder) as project, project.database.write() as connection:
        people.add(connection, actor, roles=(), by=actor, at=project.clock.now())
    return Layout(folder=str(folder), files=_laid_out(folder), next_steps=_next_steps(folder))


def examples() -> tuple[str, ...]:
    """The names of the examples that come with cd4ml."""
    return tuple(sorted(path.name for path in _examples().iterdir() if (path / FILE).exists()))


def example_folder(name: str) -> Path:
    """The folder of an example that comes with cd4ml.

    Raises:
        NotFound: If there is none of this name.
    """
    if name not in examples():
        msg = f"no example named {name!r}"
        raise NotFound(msg, hint=f"known: {', '.join(examples())}")
    return _examples() / name


def _examples() -> Path:
    installed = Path(str(files("cd4ml"))) / "_examples"
    # an editable install has them where the repository keeps them
    return installed if installed.exists() else Path(str(files("cd4ml"))).parents[1] / "examples"


def _refuse_bad_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        msg = (
            f"expected a project name of lower-case letters, digits, '.', '_' and '-', got {name!r}"
        )
        raise InvalidInput(msg, hint="cd4ml init FOLDER --name my-project")


def _refuse_unless_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        msg = f"{folder} exists and is not an empty folder"
        raise AlreadyExists(msg, hint="choose a new folder, or empty this one first")


def _rename(settings: Path, name: str) -> None:
    text = settings.read_text()
    settings.write_text(re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', text, count=1))


def _lay_out_data(folder: Path) -> None:
    # an example that has data brings a module that writes what is known at its beginning
    world = folder / "world.py"
    if world.exists():
        spec = importlib.util.spec_from_file_location("cd4ml_example_world", world)
        if spec is None or spec.loader is None:
            msg = f"{world} cannot be loaded"
            raise InvalidInput(msg)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.lay_out(folder)


def _begin_history(folder: Path, actor: str) -> None:
    # without git there is no revision to reproduce from; a folder inside a repository
    # that tracks it already has one
    if shutil.which("git") is None or _is_tracked(folder):
        return
    identity = ["-c", f"user.name={actor}", "-c", f"user.email={actor}@localhost"]
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "."],
        [*identity, "commit", "--quiet", "--no-gpg-sign", "--message", "Lay out the project"],
    ):
        subprocess.run(["git", *command], cwd=folder, check=True, env=_plain_git())


def _is_tracked(folder: Path) -> bool:
    inside = _git_answers(folder.parent, "rev-parse", "--is-inside-work-tree")
    ignored = _git_answers(folder.parent, "check-ignore", "--quiet", str(folder))
    return inside and not ignored


def _git_answers(folder: Path, *command: str) -> bool:
    done = subprocess.run(["git", *command], cwd=folder, capture_output=True, env=_plain_git())
    return done.returncode == 0


def _plain_git() -> dict[str, str]:
    # a hook that calls cd4ml would otherwise make every git here act on its repository
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}


def _laid_out(folder: Path) -> tuple[str, ...]:
    hidden = {".git", STATE}
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple(str(path) for path in paths if path.parts[0] not in hidden)


def _next_steps(folder: Path) -> tuple[str, ...]:
    return (f"cd {os.path.relpath(folder)}", "cd4ml run", "cd4ml gate run/1", "cd4ml status")
