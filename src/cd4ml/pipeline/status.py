"""What git says of a folder, asked once and awaited later."""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple

from cd4ml.store.digest import address_of

_TIMEOUT_S = 30
_COMMAND = ("status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", "--", ".")


class Status(NamedTuple):
    """The commit ("" outside git, and before the first one), and what differs from it.

    `differs` is the digest of git's words about it, "" if nothing differs; `paths` are the
    files that are changed or new, relative to the folder that was asked about.
    """

    commit: str
    differs: str
    paths: tuple[str, ...]


class Asked:
    """A question to git that is being answered."""

    def __init__(self, folder: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_DIR")}
        # settings of a repository can make git run programs; none of these may
        command = ["git", "-C", folder, "-c", "core.fsmonitor=false"]
        command += ["-c", "status.relativePaths=true", *_COMMAND]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**environment, "GIT_OPTIONAL_LOCKS": "0"},
        )

    def answer(self) -> Status:
        """What it says.

        Raises:
            OSError: If it does not answer.
        """
        try:
            said, _ = self._process.communicate(timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise OSError("git does not answer") from None
        return _read(said) if self._process.returncode == 0 else Status("", "", ())


def _read(said: bytes) -> Status:
    commit, entries = "", []
    for part in said.split(b"\0"):
        if part.startswith(b"# branch.oid "):
            commit = part.split()[2].decode()
        elif part and not part.startswith(b"# "):
            entries.append(part)
    if commit == "(initial)":
        return Status("", "", ())  # nothing to differ from
    differs = address_of(b"\0".join(entries)) if entries else ""
    return Status(commit, differs, tuple(_paths(entries)))


def _paths(entries: list[bytes]) -> list[str]:
    """The paths in the lines of `git status --porcelain=v2 -z`."""
    fields = {b"1": 8, b"2": 9, b"u": 10, b"?": 1, b"!": 1}
    found = []
    for entry in entries:
        n = fields.get(entry[:1]) if entry[1:2] == b" " else None
        # after a renamed one its old name stands alone
        found.append(os.fsdecode(entry.split(b" ", n)[n] if n else entry))
    return found
