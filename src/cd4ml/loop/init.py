"""Lay out a new project."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import tempfile
from importlib.resources import files
from pathlib import Path

import msgspec

from cd4ml.errors import AlreadyExists, InvalidInput, NotFound, PipelineError, Unavailable
from cd4ml.loop.people import add_person
from cd4ml.pipeline.module import imported
from cd4ml.store.project import FILE, STATE, open_project
from cd4ml.store.seen import FILE as SEEN
from cd4ml.store.seen import moved

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
        Unavailable: If the example's data, git or the disk cannot be had; nothing is laid out.
        InvalidInput: If the name is not lower-case letters, digits, dots and dashes, or
            the actor's is none.
    """
    folder = folder.absolute()
    name = name or folder.name.lower()
    _refuse_bad_name(name)
    _refuse_unless_empty(folder)
    source = example_folder(example or STARTER)
    try:
        _lay_out(folder, name, source, actor)
    except OSError as error:
        msg = f"{folder} cannot be laid out: {error.strerror or error}"
        raise Unavailable(msg, hint="may this user write there, and is there room?") from None
    return Layout(folder=str(folder), files=_laid_out(folder), next_steps=_next_steps(folder))


def begin(folder: Path, *, name: str = "", actor: str) -> Layout:
    """Make a project of a folder as it is: what lies there stays, and nothing else comes.

    It gets a `cd4ml.toml` that says its name, and the place where cd4ml keeps what it knows;
    the actor becomes the project's admin.

    Args:
        folder: An existing folder.
        name: The project's name; the folder's by default, as far as its letters allow.
        actor: Who.

    Raises:
        AlreadyExists: If it is a project already.
        NotFound: If there is no such folder.
        Unavailable: If it cannot be written to.
        InvalidInput: If the name is not lower-case letters, digits, dots and dashes, or
            the actor's is none.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}", hint="cd4ml init FOLDER lays out a new one")
    for there in (FILE, STATE):
        if (folder / there).exists():
            msg = f"{folder} is a project already: it has {there}"
            raise AlreadyExists(msg, hint="cd4ml status")
    name = name or re.sub(r"[^a-z0-9._-]+", "-", folder.name.lower()).strip("-._") or "project"
    _refuse_bad_name(name)
    try:
        with tempfile.TemporaryDirectory(dir=folder, prefix=".cd4ml-init-") as scratch:
            draft = Path(scratch)
            (draft / FILE).write_text(f'[project]\nname = "{name}"\n')
            _begin_state(draft, actor, into=folder)
            for part in (STATE, FILE):  # it is a project once the settings are there
                (draft / part).rename(folder / part)
    except OSError as error:
        msg = f"{folder} cannot become a project: {error.strerror or error}"
        raise Unavailable(msg, hint="may this user write there, and is there room?") from None
    steps = ("cd4ml data adopt NAME FILES", "cd4ml data list", "cd4ml up")
    return Layout(folder=str(folder), files=(FILE,), next_steps=steps)


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


def _lay_out(folder: Path, name: str, source: Path, actor: str) -> None:
    """Make the whole project beside its place, then move it there: it is there whole or not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".cd4ml-init-") as scratch:
        draft = Path(scratch) / "project"
        shutil.copytree(source, draft, ignore=shutil.ignore_patterns("__pycache__"))
        _rename(draft / FILE, name)
        _lay_out_data(draft, source.name)
        _begin_state(draft, actor, into=folder)
        _begin_history(draft, actor, into=folder)
        _put(draft, folder)


def _rename(settings: Path, name: str) -> None:
    text = settings.read_text()
    settings.write_text(re.sub(r'(?m)^name = ".*"$', f'name = "{name}"', text, count=1))


def _lay_out_data(folder: Path, example: str) -> None:
    # an example that has data brings a module that writes what is known at its beginning
    world = folder / "world.py"
    if not world.exists():
        return
    try:
        with imported(folder, world.stem) as module:
            module.lay_out(folder)
    except (ModuleNotFoundError, PipelineError) as error:
        msg = f"the example {example!r} cannot be laid out: {getattr(error, 'message', error)}"
        raise Unavailable(msg, hint="nothing was laid out") from None


def _begin_state(draft: Path, actor: str, *, into: Path) -> None:
    """The folder where cd4ml keeps what it knows, outside of git, with the first person in it."""
    (draft / STATE).mkdir()
    (draft / STATE / ".gitignore").write_text("*\n")
    with open_project(draft) as project:
        add_person(project, actor, roles=(), actor=actor)
    moved(draft.absolute(), into.absolute(), seen=draft / STATE / SEEN)


def _put(draft: Path, folder: Path) -> None:
    """Move what is complete to where it belongs, at once where the system can."""
    if not (folder.exists() and folder.samefile(Path.cwd())):
        draft.replace(folder)  # also over an empty folder
        return
    # the shell stands in this folder: another one in its place would leave it in none
    for path in sorted(draft.iterdir(), key=lambda path: path.name == FILE):
        path.replace(folder / path.name)


def _begin_history(draft: Path, actor: str, *, into: Path) -> None:
    # without git there is no revision to reproduce from; a folder inside a repository
    # that tracks it already has one
    if shutil.which("git") is None or _is_tracked(into):
        return
    identity = ["-c", f"user.name={actor}", "-c", f"user.email={actor}@localhost"]
    for command in (
        ["init", "--quiet", "--initial-branch", "main"],
        ["add", "."],
        [*identity, "commit", "--quiet", "--no-gpg-sign", "--message", "Lay out the project"],
    ):
        done = _git(draft, *command)
        if done.returncode != 0:
            reason = done.stderr.strip().splitlines()[-1:] or ["it does not say why"]
            msg = f"git cannot begin a history: {reason[0]}"
            raise Unavailable(msg, hint="nothing was laid out")


def _is_tracked(folder: Path) -> bool:
    """Whether the folder lies in a repository that does not ignore it."""
    inside = _git(folder.parent, "rev-parse", "--is-inside-work-tree")
    ignored = _git(folder.parent, "check-ignore", "--quiet", f"{folder}/")
    return inside.returncode == 0 and ignored.returncode != 0


def _git(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["git", *command], cwd=folder, capture_output=True, text=True, env=_plain_git()
    )


def _plain_git() -> dict[str, str]:
    # a hook that calls cd4ml would otherwise make every git here act on its repository
    return {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}


def _laid_out(folder: Path) -> tuple[str, ...]:
    hidden = {".git", STATE}
    paths = (path.relative_to(folder) for path in sorted(folder.rglob("*")) if path.is_file())
    return tuple(str(path) for path in paths if path.parts[0] not in hidden)


def _next_steps(folder: Path) -> tuple[str, ...]:
    is_there = folder.samefile(Path.cwd())
    there = () if is_there else (f"cd {shlex.quote(os.path.relpath(folder))}",)
    return (*there, "cd4ml run", "cd4ml gate run/1", "cd4ml status")
