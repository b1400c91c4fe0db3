"""Which revision of the project's repository ran, and what differed from it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit, urlunsplit

_TIMEOUT_S = 30
_LARGEST = 1 << 20  # bytes; larger untracked files are data, and datasets have versions


class Revision(NamedTuple):
    """A git commit and the difference of the working tree to it.

    `commit` is "" outside a repository, or in one without a commit. `patch` is what
    `git apply` takes, with new text files; b"" if the tree is clean.
    """

    commit: str
    patch: bytes

    @property
    def is_dirty(self) -> bool:
        """Whether the tree differs from the commit."""
        return bool(self.patch)


def revision_of(folder: Path) -> Revision:
    """The revision of the repository that the folder is in, with its changes below the folder."""
    head = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    if head is None:
        return Revision("", b"")
    changes = _git(folder, "diff", "HEAD", *_PLAIN, "--", ".") or b""
    listed = _git(folder, "ls-files", "--others", "--exclude-standard", "-z") or b""
    new = [os.fsdecode(name) for name in listed.split(b"\0") if name]
    return Revision(head.decode().strip(), changes + b"".join(_added(folder, n) for n in new))


def repository_of(folder: Path) -> str:
    """Where the folder's repository is fetched from, without a password; "" if from nowhere."""
    origin = (_git(folder, "remote", "get-url", "origin") or b"").decode(errors="replace").strip()
    parts = urlsplit(origin)
    if not (parts.scheme and parts.hostname):
        return origin
    port = f":{parts.port}" if parts.port else ""
    return urlunsplit((parts.scheme, parts.hostname + port, parts.path, "", ""))


_PLAIN = ("--binary", "--no-ext-diff", "--no-textconv", "--no-color")


def _added(folder: Path, name: str) -> bytes:
    path = folder / name
    if not path.is_file() or path.stat().st_size > _LARGEST:
        return b""
    return _git(folder, "diff", "--no-index", *_PLAIN, "--", os.devnull, name, fine=(0, 1)) or b""


def _git(folder: Path, *arguments: str, fine: tuple[int, ...] = (0,)) -> bytes | None:
    # settings of a repository can make git run programs; none of these may
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_DIR")}
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode in fine else None
