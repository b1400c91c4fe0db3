"""Adds to `cd4ml.toml`: one process at a time, whole or not at all."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cd4ml.errors import Unavailable
from cd4ml.records.settings import Settings
from cd4ml.store.settings import read_settings, settings_from

_WRITE = 0o222  # of nobody: the file is meant to stay as it is, whoever may write all the same


class SettingsFile:
    """A `cd4ml.toml` to which nobody else adds at this moment; people may edit it all the same.

    A link is followed: the file that it leads to is written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def settings(self) -> Settings:
        """What the file says now."""
        return read_settings(self._path)

    def with_section(self, section: str) -> Settings:
        """What the file would say with another section; nothing is written.

        Raises:
            ConfigurationError: If no project can mean that.
        """
        return settings_from(self._extended(section), self._path)

    def append(self, section: str) -> None:
        """Add a section to what the file says now.

        Raises:
            ConfigurationError: If no project can mean that.
            Unavailable: If the file cannot be written.
        """
        text = self._extended(section)
        settings_from(text, self._path)
        write_whole(self._path.resolve(), text, mode=self._path.stat().st_mode)

    def refuse_unless_writable(self) -> None:
        """Refuse a file that may not be changed.

        Raises:
            Unavailable: With the file or its folder.
        """
        target = self._path.resolve()
        refuse_unless_writable(target)
        refuse_unless_writable(target.parent)

    def _extended(self, section: str) -> str:
        # as bytes: how its lines end stays as it is
        return self._path.read_bytes().decode().rstrip() + "\n\n" + section


@contextmanager
def editing(path: Path, state: Path) -> Iterator[SettingsFile]:
    """The `cd4ml.toml` of a project, alone; who comes meanwhile waits.

    Args:
        path: The file.
        state: The project's folder for what cd4ml keeps, where the lock lies.

    Raises:
        Unavailable: If that folder cannot be written to.
    """
    lock = state / "settings.lock"
    with _explained(state):
        state.mkdir(exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield SettingsFile(path)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str, *, mode: int = 0o644, is_new: bool = False) -> None:
    """Write a text file: whoever reads it sees all of it or what was there before.

    Args:
        path: No link; nobody else writes it with this function meanwhile.
        text: Its content.
        mode: Who may read and write it.
        is_new: Refuse to replace a file.

    Raises:
        FileExistsError: If the file is there and is to be new.
        Unavailable: If it cannot be written.
    """
    fresh = path.with_name(f".{path.name}.new")
    with _explained(path):
        try:
            with fresh.open("wb") as file:
                file.write(text.encode())
                file.flush()
                os.fsync(file.fileno())
            fresh.chmod(mode & 0o777)
            if is_new:
                os.link(fresh, path)
            else:
                fresh.replace(path)
        finally:
            with suppress(OSError):
                fresh.unlink()


def refuse_unless_writable(path: Path) -> None:
    """Refuse a file or folder that may not be written to.

    Raises:
        Unavailable: With its path.
    """
    if not (os.access(path, os.W_OK) and path.stat().st_mode & _WRITE):
        raise _not_writable(path, "it is read-only")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise
    except OSError as error:
        raise _not_writable(path, error.strerror or type(error).__name__) from None


def _not_writable(path: Path, why: str) -> Unavailable:
    hint = "may this user write there, and is there room?"
    return Unavailable(f"{path} cannot be written to: {why}", hint=hint)
