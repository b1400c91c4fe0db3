"""A run while it is under way, on standard error: its steps, and what they print."""

from __future__ import annotations

import codecs
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.text import Text

from cd4ml.cli.printable import printable
from cd4ml.cli.screen import plain_console


class Watch(NamedTuple):
    """Who is told of a run: of its steps, and of what they print (None: nobody listens)."""

    progress: Callable[[str, str, float], None]
    listener: Callable[[str, bytes], None] | None


@contextmanager
def watched(*, is_quiet: bool) -> Iterator[Watch]:
    """Show a run's steps where there is a terminal, and what they print wherever one looks.

    Yields:
        Whom to tell.
    """
    if is_quiet:
        yield Watch(lambda _step, _state, _seconds: None, None)
        return
    if not sys.stderr.isatty():
        lines = Lines(plain_console(sys.stderr))
        yield Watch(lines.ended, lines.printed)
        lines.close()
        return
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    spinner = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        TimeElapsedColumn(),
        console=plain_console(sys.stderr),
        transient=True,
    )
    with spinner as shown:
        task = shown.add_task("run", total=None)
        lines = Lines(shown.console)

        def tell(step: str, state: str, seconds: float) -> None:
            lines.ended(step, state, seconds)
            if state == "running":
                shown.update(task, description=printable(step))
            elif state == "waiting":
                shown.console.print(_dim(f"  {step}: another run is computing it"))
            else:
                shown.console.print(_dim(f"  {step}: {state}, {seconds:.1f} s"))

        yield Watch(tell, lines.printed)
        lines.close()


class Lines:
    """What steps print, line by line, each behind the name of its step."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._open: dict[str, str] = {}  # step -> the line that it has not ended yet
        self._decoders: dict[str, codecs.IncrementalDecoder] = {}

    def printed(self, step: str, data: bytes) -> None:
        """A step has printed this; the part of a line waits for its rest."""
        kind = codecs.getincrementaldecoder("utf-8")
        decoder = self._decoders.setdefault(step, kind(errors="backslashreplace"))
        text = self._open.pop(step, "") + decoder.decode(data)
        *lines, rest = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
        for line in lines:
            self._show(step, line)
        if rest:
            self._open[step] = rest

    def ended(self, step: str, state: str, seconds: float) -> None:
        """A step goes on to another state: what it left open is all there is of that line."""
        if state not in ("running", "waiting") and step in self._open:
            self._show(step, self._open.pop(step))

    def close(self) -> None:
        """The run has ended."""
        for step, line in self._open.items():
            self._show(step, line)
        self._open.clear()

    def _show(self, step: str, line: str) -> None:
        self._console.print(_dim(f"{step} | {line}"), soft_wrap=True)


def _dim(text: str) -> Text:
    return Text(printable(text), style="dim")
