"""`cd4ml run` where nothing has changed: answered before the command line is even built.

Nothing heavy is imported here, and nothing is decided: `loop.rerun` says whether the answer
is known. Whatever it is not sure of goes the ordinary way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from cd4ml.cli.output import as_json, writing

if TYPE_CHECKING:
    from cd4ml.loop.rerun import Again

_WIDTH = 80  # of what is no terminal, as `screen` has it
_STYLED = ("FORCE_COLOR", "NO_COLOR", "COLUMNS", "TTY_COMPATIBLE", "TTY_INTERACTIVE")


class Typed(NamedTuple):
    """A command line, taken apart: what is to be done, and who, where and in which form."""

    words: tuple[str, ...]
    actor: str = ""
    folder: str = ""
    is_json: bool = False


def taken_apart(typed: Sequence[str]) -> Typed:
    """The words of a command without the options that every command has.

    Examples:
        >>> taken_apart(["--as", "ann", "run", "--json", "--set", "a.b=1"])
        Typed(words=('run', '--set', 'a.b=1'), actor='ann', folder='', is_json=True)
    """
    words: list[str] = []
    shared = {"--as": "", "--project": ""}
    waiting = ""
    for word in typed:
        name, equals, value = word.partition("=")
        if waiting:
            shared[waiting], waiting = word, ""
        elif word in shared:
            waiting = word
        elif equals and name in shared:
            shared[name] = value
        elif word != "--json":
            words.append(word)
    return Typed(tuple(words), shared["--as"], shared["--project"], "--json" in typed)


def answered(typed: Sequence[str]) -> bool:
    """Answer a `cd4ml run` in which nothing has changed; False if it has to be worked out."""
    given = taken_apart(typed)
    if given.words[:1] != ("run",):
        return False
    actor = given.actor or os.environ.get("CD4ML_ACTOR") or _login()
    if not actor:
        return False
    from cd4ml import __version__
    from cd4ml.loop.rerun import Changed, run_again

    try:
        again = run_again(given.words, folder=given.folder, actor=actor, version=__version__)
    except Changed:
        return False
    _print(again, is_json=given.is_json)
    return True


def _login() -> str:
    from getpass import getuser

    try:
        return getuser()
    except (KeyError, OSError):
        return ""


def _print(again: Again, *, is_json: bool) -> None:
    text = _text(again)
    with writing():
        if is_json or text is None:
            _print_whole(again, is_json=is_json)
        else:
            sys.stdout.write(text)
        sys.stdout.flush()


def _print_whole(again: Again, *, is_json: bool) -> None:
    import msgspec

    from cd4ml.loop.run_report import RunReport

    report = msgspec.convert(again.report, RunReport)
    if is_json:
        print(as_json(report))
        return
    from cd4ml.cli.commands.runs import show_run
    from cd4ml.cli.screen import Screen

    show_run(Screen(), report)


def _text(again: Again) -> str | None:
    """What `commands.runs.show_run` prints where nobody wants colours; None if that is not so plain."""
    from cd4ml.cli.figures import number

    if sys.stdout.isatty() or any(name in os.environ for name in _STYLED):
        return None
    has_model = any(kind == "model" for _, kind in again.steps)
    cells = [("step", "", "seconds", "output")]
    cells += [(step, "cached", "0.00", kind) for step, kind in again.steps]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    facts = [(name, number(value)) for name, value in again.metrics.items()]
    names = max((len(name) for name, _ in facts), default=0)
    values = max((len(value) for _, value in facts), default=0)
    table = [
        f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c:>{widths[2]}}  {d:<{widths[3]}}"
        for a, b, c, d in cells
    ]
    lines = [
        f"{again.ref} finished",
        table[0],
        "─" * len(table[0]),
        *table[1:],
        *(f"  {name:<{names}}  {value:<{values}}" for name, value in facts),
        f"  hint: cd4ml {'gate' if has_model else 'show'} {again.ref}",
    ]
    is_plain = all((line.isprintable() and line.isascii()) or set(line) == {"─"} for line in lines)
    text = "\n".join(line.rstrip() for line in lines) + "\n"
    return text if is_plain and len(max(lines, key=len)) <= _WIDTH else None
