"""How a rehearsal's story looks on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from cd4ml.cli.screen import Screen, bar, plain_console

T = TypeVar("T")

_INDENT = 3


class Story:
    """Tells what happens, line by line, with a bar where there is a terminal.

    Args:
        screen: Where the lines go.
        is_quiet: Show no bars.
    """

    def __init__(self, screen: Screen, *, is_quiet: bool) -> None:
        self._screen = screen
        self._shows_bars = not is_quiet and sys.stderr.isatty()

    def chapter(self, number: int, title: str) -> None:
        """A new step of the story begins."""
        self._screen.line()
        self._screen.title(f"{number}  {title}")

    def command(self, text: str) -> None:
        """What a person would type to get this."""
        self._screen.command(f"$ {text}", indent=_INDENT)

    def line(self, text: str) -> None:
        """Something happened."""
        self._screen.line(text, indent=_INDENT)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Some figures."""
        self._screen.line(title, style="dim", indent=_INDENT)
        self._screen.table(columns, rows, indent=_INDENT)

    def track(self, items: Iterable[T], *, title: str, total: int) -> Iterable[T]:
        """The same items, with a progress bar where there is a terminal."""
        return self._with_bar(items, title, total) if self._shows_bars else items

    def _with_bar(self, items: Iterable[T], title: str, total: int) -> Iterator[T]:
        with bar() as shown:
            yield from shown.track(items, total=total, description=title)


def story(*, is_json: bool) -> Story:
    """The story on standard output; on standard error where that is for the answer in JSON."""
    screen = Screen(plain_console(sys.stderr)) if is_json else Screen()
    return Story(screen, is_quiet=is_json)
