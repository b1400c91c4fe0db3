"""How answers look: quiet tables that fit a terminal of 80 columns; in a pipe nothing wraps."""

from __future__ import annotations

import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from rich.box import Box
from rich.cells import cell_len
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cd4ml.cli.figures import number as number
from cd4ml.cli.printable import printable

if TYPE_CHECKING:
    from rich.progress import Progress

# a rule below the header, and nothing else: it copies well
_LINES = Box("    \n    \n ── \n    \n    \n    \n    \n    \n")

_FIGURE = re.compile(r"([-+]?[\d.,]+%?( to [-+]?[\d.,]+)?|-|)( \*)?")
_NEVER_WRAPPED = (24, 18, 14, 10, 6)  # characters of a cell: the first that leaves enough room
_LEAST = 9  # characters of a column that wraps
_GAP = 2  # between columns
_ENDLESS = 1_000_000  # characters of a line, where it is measured how long it is
_NEXT_UNIT = 1000  # of bytes, as disks are sold

STYLES: Mapping[str, str] = {
    "pass": "green",
    "good": "green",
    "released": "green",
    "done": "green",
    "finished": "green",
    "fail": "bold red",
    "failed": "bold red",
    "error": "bold red",
    "rejected": "red",
    "aborted": "red",
    "attention": "bold yellow",
    "inconclusive": "yellow",
    "awaiting approval": "bold yellow",
    "working": "cyan",
    "rolling out": "cyan",
    "running": "cyan",
    "queued": "cyan",
}


class Screen:
    """Standard output for people; every text on it is made safe to print.

    On a terminal it is as wide as that. Elsewhere, in a pipe or a file, it is as wide as what is
    said (or as COLUMNS says): one row, entry or fact a line, so that `grep` and `cut` find them whole.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or plain_console(sys.stdout)

    def line(self, text: str = "", *, style: str = "", indent: int = 0, hanging: int = 0) -> None:
        """One paragraph, wrapped at words on a terminal; a word is never broken."""
        for paragraph in printable(text).splitlines() or [""]:
            room = self._console.width - indent if self._has_edge else len(paragraph)
            for part in wrapped(paragraph, room, hanging):
                self._console.print(Text(" " * indent + part, style=style), soft_wrap=True)

    def title(self, text: str) -> None:
        """A heading."""
        self.line(text, style="bold")

    def verbatim(self, text: str) -> None:
        """A file's text as it is, so that it can be redirected into one."""
        self._console.print(Text(printable(text).rstrip("\n")), soft_wrap=True)

    def command(self, text: str, *, indent: int = 0) -> None:
        """Words to type, in one line, so that they can be copied."""
        self._console.print(Text(" " * indent + printable(text), style="cyan"), soft_wrap=True)

    def hint(self, text: str) -> None:
        """What to do next."""
        self.line(f"hint: {text}", style="dim", indent=2)

    def facts(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Names and values, aligned; what is empty is left out, a repeated name is not repeated."""
        table = Table.grid(padding=(0, 2))
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        before = ""
        for name, value in pairs:
            if value:
                table.add_row("" if name == before else _text(name), _text(value))
                before = name
        self._print(table, indent=2)

    def table(
        self, columns: Sequence[str], rows: Iterable[Sequence[str]], *, indent: int = 0
    ) -> None:
        """One row a line; a column of nothing but numbers is aligned on the right.

        A terminal that is too narrow for that wraps sentences in their cells.
        """
        cells = [list(row) for row in rows]
        table = Table(
            box=_LINES, show_edge=False, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0)
        )
        longest = [max(map(cell_len, column)) for column in zip(columns, *cells, strict=True)]
        room = self._console.width - indent - _GAP * (len(columns) - 1)
        widths = whole_widths(longest, room) if self._has_edge else longest
        for width, title, *values in zip(widths, columns, *cells, strict=True):
            is_figure = any(values) and all(_FIGURE.fullmatch(value) for value in values)
            table.add_column(
                printable(title),
                justify="right" if is_figure else "left",
                min_width=width,
                no_wrap=width is not None,  # else rich takes room from it that it does not give
                overflow="fold",
            )
        for row in cells:
            table.add_row(*(_text(value, STYLES.get(value, "")) for value in row))
        self._print(table, indent=indent)

    def log(self, entries: Iterable[tuple[Sequence[str], str]]) -> None:
        """One entry a line, its words aligned, and below it what it says about itself."""
        lines = [(list(cells), note) for cells, note in entries]
        columns = zip(*(cells for cells, _ in lines), strict=True)
        widths = [max(map(len, column)) for column in columns]
        for cells, note in lines:
            padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
            hanging = widths[0] + _GAP
            self.line((" " * _GAP).join(padded).rstrip(), hanging=hanging)
            if note:
                self.line(note, style="dim", indent=hanging)

    @property
    def _has_edge(self) -> bool:
        """Whether somebody looks at it, or says how wide it is; colours alone make no terminal."""
        return self._console.file.isatty() or "COLUMNS" in os.environ

    def _print(self, table: Table, *, indent: int = 0) -> None:
        padded = Padding(table, (0, 0, 0, indent), expand=False) if indent else table
        if self._has_edge:
            self._console.print(padded)
            return
        before = self._console.width
        self._console.width = _ENDLESS
        try:
            self._console.width = max(before, self._console.measure(padded).maximum)
            with self._console.capture() as printed:
                self._console.print(padded)
        finally:
            self._console.width = before
        for line in printed.get().splitlines():
            self._console.out(
                line.rstrip()
            )  # filled up to the longest one, it would wrap in a page


class PlainConsole(Console):
    """A console that prints text as it is: no markup, no guessed colours."""

    def on_broken_pipe(self) -> None:
        """Leave a closed pipe to `entry`: rich would leave with 1, as after an error."""
        raise BrokenPipeError


def plain_console(file: TextIO) -> Console:
    """A plain console that writes to a stream."""
    return PlainConsole(file=file, markup=False, highlight=False, emoji=False)


@contextmanager
def trials(*, is_quiet: bool) -> Iterator[Callable[[object, int, int], None]]:
    """A bar of trials on standard error; nothing where there is no terminal.

    Yields:
        A function to call with a trial, how many have ended, and of how many.
    """
    if is_quiet or not sys.stderr.isatty():
        yield lambda _trial, _done, _total: None
        return
    with bar() as shown:
        task = shown.add_task("trials", total=None)
        yield lambda _trial, done, total: shown.update(task, completed=done, total=total)


@contextmanager
def files(*, is_quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar of files on standard error; nothing where there is no terminal.

    Yields:
        A function to call with how many are done, and of how many.
    """
    if is_quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    with bar() as shown:
        task = shown.add_task("files", total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)


def bar() -> Progress:
    """A bar on standard error that disappears when it is full."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    return Progress(
        TextColumn("   {task.description}", markup=False),
        BarColumn(bar_width=40),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=plain_console(sys.stderr),
        transient=True,
    )


def wrapped(paragraph: str, width: int, hanging: int = 0) -> list[str]:
    """The lines of a paragraph; those that follow are as far in as the first, or further.

    Examples:
        >>> wrapped("  - one two three", 12)
        ['  - one two', '  three']
    """
    if len(paragraph) <= width:
        return [paragraph]
    margin = len(paragraph) - len(paragraph.lstrip()) + hanging
    return textwrap.wrap(
        paragraph,
        width,
        subsequent_indent=" " * margin,
        break_long_words=False,
        break_on_hyphens=False,
    )


def whole_widths(longest: Sequence[int], room: int) -> list[int | None]:
    """Which columns are as wide as their longest cell; None: its cells may wrap.

    Names, times and figures stay whole where there is room; sentences wrap.

    Examples:
        >>> whole_widths([5, 16, 70], room=60), whole_widths([5, 16, 70], room=28)
        ([5, 16, None], [5, None, None])
    """
    for limit in _NEVER_WRAPPED:
        widths = [width if width <= limit else None for width in longest]
        if sum(width or _LEAST for width in widths) <= room:
            return widths
    return [None for _ in longest]


def words(state: str) -> str:
    """A state as people say it.

    Examples:
        >>> words("awaiting_approval")
        'awaiting approval'
    """
    return state.replace("_", " ")


def moment(at: datetime | None) -> str:
    """A time as people read it, in UTC.

    Examples:
        >>> from datetime import UTC
        >>> moment(datetime(2013, 2, 1, 9, 5, tzinfo=UTC))
        '2013-02-01 09:05'
    """
    return "" if at is None else f"{at:%Y-%m-%d %H:%M}"


def counted(amount: int, noun: str, many: str = "") -> str:
    """So many of something.

    Examples:
        >>> counted(1, "label"), counted(1000, "label"), counted(2, "entry", "entries")
        ('1 label', '1,000 labels', '2 entries')
    """
    return f"{amount:,} {noun if amount == 1 else many or f'{noun}s'}"


def short(address: str) -> str:
    """The beginning of a content address, for people.

    Examples:
        >>> short("blake3:af1349b9f5f9a1a6a0404dea36dcc949")
        'af1349b9f5f9'
    """
    return address.rpartition(":")[2][:12]


def size(n_bytes: int) -> str:
    """Bytes in the unit people would say.

    Examples:
        >>> size(512), size(10_700_000)
        ('512 B', '10.7 MB')
    """
    amount = float(n_bytes)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < _NEXT_UNIT:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _NEXT_UNIT
    return f"{amount:,.1f} TB"


def _text(value: str, style: str = "") -> Text:
    return Text(printable(value), style=style)
