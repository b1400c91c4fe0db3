"""How a rehearsal tells its story; the face decides how it looks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

T = TypeVar("T")


class Teller(Protocol):
    """Tells what happens, while it happens."""

    def chapter(self, number: int, title: str) -> None:
        """A new step of the story begins."""

    def command(self, text: str) -> None:
        """What a person would type to get this."""

    def line(self, text: str) -> None:
        """Something happened."""

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Some figures."""

    def track(self, items: Iterable[T], *, title: str, total: int) -> Iterable[T]:
        """The same items, with a progress bar where there is a terminal."""
