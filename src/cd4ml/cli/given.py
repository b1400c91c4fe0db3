"""What a command works with: the words typed, and the project and actor they imply."""

from __future__ import annotations

import argparse
import getpass
import os
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from cd4ml.errors import InvalidInput

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.loop import Project

T = TypeVar("T")


class Answer(NamedTuple, Generic[T]):
    """What a command returns: a value for machines, and how to show it to people."""

    value: T
    show: Callable[[Screen, T], None]
    exit_code: int = 0


class Given:
    """One call of the command line; the project is opened when a command first asks for it.

    `words` are the options as the parser read them, `typed` what was typed.
    """

    def __init__(self, words: argparse.Namespace, typed: Sequence[str] = ()) -> None:
        self.words = words
        self.typed = tuple(typed)
        self._is_open = False

    @property
    def is_json(self) -> bool:
        """Whether the answer goes to a machine."""
        return bool(self.words.json)

    @cached_property
    def actor(self) -> str:
        """Who acts: `--as`, else CD4ML_ACTOR, else the login name.

        Raises:
            InvalidInput: If the system has no name for its user either.
        """
        name = self.words.actor or os.environ.get("CD4ML_ACTOR", "")
        if name:
            return str(name)
        try:
            return getpass.getuser()
        except (KeyError, OSError):
            msg = "this user has no login name"
            raise InvalidInput(msg, hint="say who acts: --as NAME, or CD4ML_ACTOR") from None

    @property
    def asker(self) -> str:
        """Who asks, where anybody may and the answer depends on it; "" if this user has no name."""
        try:
            return self.actor
        except InvalidInput:
            return ""

    @property
    def folder(self) -> Path | None:
        """Where to look for the project; None: CD4ML_PROJECT, or here."""
        return Path(self.words.project) if self.words.project else None

    @cached_property
    def project(self) -> Project:
        """The project, open until `close`.

        Raises:
            ProjectNotFound: If there is none.
            ConfigurationError: If its settings are wrong.
        """
        from cd4ml.loop import open_project

        project = open_project(self.folder)
        self._is_open = True
        return project

    def close(self) -> None:
        """Close the project, if it was opened."""
        if self._is_open:
            self.project.close()
