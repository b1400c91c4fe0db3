"""The tree of files that a run was made from, laid out in a clean folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.errors import NotFound, Unavailable
from cd4ml.pipeline.kept_files import unpack
from cd4ml.pipeline.revision import git, ran
from cd4ml.store.address import short

if TYPE_CHECKING:
    from cd4ml.records.run import Run
    from cd4ml.store.blobs import Blobs

_TIMEOUT_S = 600
_SHORT = 12  # digits of a commit


def lay_out_tree(run: Run, target: Path, *, near: Path, blobs: Blobs) -> Path:
    """The project as it was when the run began; returns its folder, in or at the target.

    The commit comes from the repository that `near` is in, whose files, index and settings
    stay as they are; then what differed from it, then the files that git did not hold.

    Args:
        run: Which run's.
        target: A folder that does not exist yet, or is empty.
        near: A folder of the repository, usually the project's.
        blobs: Where patch and files are kept.

    Raises:
        NotFound: If the run recorded nothing to make its code from, or the repository does
            not have the commit.
        Unavailable: If git is not there or refuses.
        Corrupted: If what was kept is not what was stored.
    """
    if not (run.revision or run.files):
        msg = f"{run.ref} recorded no code that it could be made from again"
        raise NotFound(msg, hint="a run outside the pipeline, or of an older cd4ml, has none")
    if run.revision:
        _check_out(run, target, near)
        if run.patch:
            _apply(blobs.get(run.patch), run, target)
    folder = target / run.folder
    folder.mkdir(parents=True, exist_ok=True)
    if run.files:
        unpack(blobs.get(run.files), folder)
    return folder


def _check_out(run: Run, target: Path, near: Path) -> None:
    commit = run.revision[:_SHORT]
    top = git(near, "rev-parse", "--show-toplevel")
    if top is None:
        msg = f"{run.ref} was made at commit {commit}, and {near} is in no git repository"
        raise NotFound(msg, hint="ask for it in a clone of the repository")
    if git(near, "cat-file", "-e", f"{run.revision}^{{commit}}") is None:
        msg = f"the repository of {near} has no commit {commit}, at which {run.ref} was made"
        raise NotFound(msg, hint="git fetch --all, or ask where the run was made")
    # objects are shared and not copied; nothing is written to the repository
    source = os.fsdecode(top).rstrip("\n")
    clone = ("clone", "--quiet", "--shared", "--no-checkout", "--", source, str(target))
    _require_git(near, *clone)
    _require_git(target, "checkout", "--quiet", "--detach", run.revision)


def _apply(patch: bytes, run: Run, target: Path) -> None:
    if git(target, "apply", "--whitespace=nowarn", "-", given=patch) is None:
        msg = f"the changes of {run.ref} do not fit its commit {run.revision[:_SHORT]}"
        raise Unavailable(msg, hint=f"they are kept at {short(run.patch)} of the blobs")


def _require_git(folder: Path, *arguments: str) -> None:
    done = ran(folder, arguments, timeout_s=_TIMEOUT_S)
    if done is None or done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() if done else []
        raise Unavailable(f"git {arguments[0]} failed: {said[-1] if said else 'is git there?'}")
