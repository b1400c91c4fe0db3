"""Which revision of the project's repository ran, and what differed from it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

_TIMEOUT_S = 30
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
LARGEST = 1 << 20  # bytes; larger untracked files are data, and datasets have versions
MOST = 64 << 20  # bytes of untracked files together; the smallest are kept first


class Revision(NamedTuple):
    """A git commit and the difference of the working tree to it.

    `commit` is "" outside a repository, or in one without a commit. `patch` is what
    `git apply` takes at the top of the repository, with new files; b"" if the tree is clean.
    `folder` is the project's, below that top. `holds` are the paths below the project's
    folder that commit and patch together give back.
    """

    commit: str
    patch: bytes
    folder: str = ""
    holds: frozenset[str] = frozenset()

    @property
    def is_dirty(self) -> bool:
        """Whether the tree differs from the commit."""
        return bool(self.patch)


def revision_of(folder: Path, *, leave_out: Callable[[str], bool] = lambda name: False) -> Revision:
    """The revision of the repository that the folder is in, with its changes below the folder.

    Args:
        folder: The project's.
        leave_out: Whether a new file, by its path below the folder, is no part of the code.
    """
    found = git(folder, "rev-parse", "--show-toplevel", "--show-prefix", "--git-path", "index",
                "HEAD")  # fmt: skip
    # what it says decides: a process that ignores its children sees each of them succeed
    top, prefix, index, commit, *_ = [*os.fsdecode(found or b"").split("\n"), "", "", ""]
    if not _COMMIT.fullmatch(commit):
        return Revision("", b"")
    tracked, untracked = _listed(folder)
    new = _kept(folder, [name for name in untracked if not leave_out(name)])
    patch = _patch(folder, folder / index, new)
    return Revision(commit, patch, _place(Path(top), prefix), frozenset([*tracked, *new]))


def committed_at(folder: Path, commit: str) -> datetime | None:
    """When a commit was made, by its committer's clock; None if git does not know it."""
    said = git(folder, "show", "-s", "--format=%ct", commit) if commit else None
    seconds = (said or b"").strip()
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() else None


def repository_of(folder: Path) -> str:
    """Where the folder's repository is fetched from, without a password; "" if from nowhere."""
    origin = (git(folder, "remote", "get-url", "origin") or b"").decode(errors="replace").strip()
    parts = urlsplit(origin)
    if not (parts.scheme and parts.hostname):
        return origin
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, parts.hostname + port, parts.path, "", ""))


def git(
    folder: Path, *arguments: str, index: Path | None = None, given: bytes | None = None
) -> bytes | None:
    """What git prints in a folder; None if it is not there or refuses.

    Args:
        folder: Where git runs.
        arguments: What it is asked.
        index: Another index than the repository's.
        given: Its standard input.
    """
    done = ran(folder, arguments, index=index, given=given)
    return done.stdout if done is not None and done.returncode == 0 else None


def ran(
    folder: Path,
    arguments: Sequence[str],
    *,
    index: Path | None = None,
    given: bytes | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> subprocess.CompletedProcess[bytes] | None:
    """How git ended; None if it is not there or takes too long.

    Neither settings nor hooks of the repository start programs, nothing is asked of a person,
    and what a hook of git's own has set does not lead elsewhere.
    """
    command = ["git", "-C", str(folder), *_SAFE, *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in _LEADS_AWAY}
    environment |= {"GIT_OPTIONAL_LOCKS": "0", "GIT_TERMINAL_PROMPT": "0"}
    if index is not None:
        environment["GIT_INDEX_FILE"] = str(index)
    try:
        return subprocess.run(
            command,
            input=given,
            stdin=subprocess.DEVNULL if given is None else None,
            capture_output=True,
            check=False,
            timeout=timeout_s,
            env=environment,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None


_SAFE = ("-c", "core.fsmonitor=false", "-c", f"core.hooksPath={os.devnull}")
_LEADS_AWAY = frozenset(["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"])

# whatever the user's settings say, the patch is one that `git apply` takes anywhere
_PLAIN = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color", "--no-renames",
          "--no-relative", "--src-prefix=a/", "--dst-prefix=b/", "--submodule=short")  # fmt: skip


def _place(top: Path, prefix: str) -> str:
    return prefix.rstrip("/") if (top / prefix).is_dir() else ""


def _listed(folder: Path) -> tuple[list[str], list[str]]:
    """The files below the folder that git tracks, and those that it neither tracks nor ignores."""
    listed = git(folder, "ls-files", "-t", "--cached", "--others", "--exclude-standard", "-z")
    entries = [os.fsdecode(entry) for entry in (listed or b"").split(b"\0") if entry]
    tracked = [entry[2:] for entry in entries if not entry.startswith("? ")]
    return tracked, [entry[2:] for entry in entries if entry.startswith("? ")]


def _kept(folder: Path, names: Sequence[str]) -> list[str]:
    """The new files that are small enough to be code, in order of name."""
    sizes = {name: (folder / name).stat().st_size for name in names if (folder / name).is_file()}
    kept, total = [], 0
    for name in sorted(sizes, key=lambda name: (sizes[name], name)):
        total += sizes[name]
        if sizes[name] <= LARGEST and total <= MOST:
            kept.append(name)
    return sorted(kept)


def _patch(folder: Path, index: Path, new: Sequence[str]) -> bytes:
    if not new:
        return git(folder, "diff", "HEAD", *_PLAIN, "--", ".") or b""
    with _copied(index) as copy:
        # noted as to be added, new files are part of one difference with the changed ones
        listed = b"\0".join(os.fsencode(f"./{name}") for name in new)
        arguments = ("--pathspec-from-file=-", "--pathspec-file-nul")
        literal = ("--literal-pathspecs", "add", "--intent-to-add", "--force", *arguments)
        git(folder, *literal, index=copy, given=listed)
        return git(folder, "diff", "HEAD", *_PLAIN, "--", ".", index=copy) or b""


@contextmanager
def _copied(index: Path) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="cd4ml-index-") as scratch:
        copy = Path(scratch) / "index"
        if index.exists():
            # with its time: git rereads files that are as young as the index itself
            shutil.copy2(index, copy)
        yield copy
