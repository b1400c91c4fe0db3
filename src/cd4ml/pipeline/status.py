"""What git says of a folder, asked once and awaited later."""

from __future__ import annotations

import os
import select
import time
from typing import NamedTuple

from cd4ml.store.digest import address_of

_TIMEOUT_S = 30
_CHUNK = 1 << 16  # bytes
_COMMAND = ("status", "--porcelain=v2", "--branch", "--untracked-files=all", "-z", "--", ".")


class Status(NamedTuple):
    """The commit ("" outside git, and before the first one), and what differs from it.

    `differs` is the digest of git's words about it, "" if nothing differs; `paths` are the
    files below the folder that are changed or new, from the top of the repository.
    """

    commit: str
    differs: str
    paths: tuple[str, ...]


class Asked:
    """A question to git that is being answered.

    Not through `subprocess`, whose import takes as long as git.
    """

    def __init__(self, folder: str) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_DIR")}
        # settings of a repository can make git run programs; none of these may
        command = ["git", "-C", folder, "-c", "core.fsmonitor=false"]
        command += _COMMAND
        self._said, writes = os.pipe()
        try:
            self._process = os.posix_spawnp(
                "git",
                command,
                {**environment, "GIT_OPTIONAL_LOCKS": "0"},
                file_actions=[
                    (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                    (os.POSIX_SPAWN_DUP2, writes, 1),
                    (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                ],
            )
        except BaseException:
            os.close(self._said)
            raise
        finally:
            os.close(writes)

    def answer(self) -> Status:
        """What it says.

        Raises:
            OSError: If it does not answer.
        """
        try:
            said = _all_of(self._said)
        except TimeoutError:
            os.kill(self._process, 9)
            raise
        finally:
            os.close(self._said)
            _, ended = os.waitpid(self._process, 0)
        return _read(said) if ended == 0 else Status("", "", ())


def _all_of(descriptor: int) -> bytes:
    poll, until, parts = select.poll(), time.monotonic() + _TIMEOUT_S, list[bytes]()
    poll.register(descriptor, select.POLLIN)
    while True:
        if not poll.poll(max(0, 1000 * (until - time.monotonic()))):
            msg = "git does not answer"
            raise TimeoutError(msg)
        part = os.read(descriptor, _CHUNK)
        if not part:
            return b"".join(parts)
        parts.append(part)


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
