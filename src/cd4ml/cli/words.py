"""What can be typed: the parser, and the options that every command has."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import Any, ClassVar, NamedTuple, NoReturn

from cd4ml.errors import Cd4mlError

PROGRAM = "cd4ml"

_MOST_LISTED = 1_000_000


class UsageError(Cd4mlError):
    """The words on the command line are not a command."""

    exit_code: ClassVar[int] = 2


class Parser(argparse.ArgumentParser):
    """A parser that raises instead of printing, so that `--json` answers in JSON too."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """Parse words; what a command does not know is refused by it, and not by all of cd4ml.

        Raises:
            UsageError: If there is such a word.
        """
        found, unknown = super().parse_known_args(args, namespace)
        if unknown and not self._commands():
            options = [name for action in self._actions for name in action.option_strings]
            wanted = unknown[0].partition("=")[0]
            near = get_close_matches(wanted, options, n=2) if wanted.startswith("-") else []
            msg = f"{self.prog}: unrecognized arguments: {' '.join(unknown)}"
            hint = f"did you mean {' or '.join(near)}?" if near else f"{self.prog} --help"
            raise UsageError(msg, hint=hint)
        return found, unknown

    def error(self, message: str) -> NoReturn:
        """Leave with what is wrong, and where to read on.

        Raises:
            UsageError: Always.
        """
        if message.endswith(("required: VERB", "required: COMMAND")):
            message = f"what is to be done? {', '.join(self._commands())}"
        raise UsageError(f"{self.prog}: {message}", hint=f"{self.prog} --help")

    def _commands(self) -> list[str]:
        return [
            str(name)
            for action in self._actions
            if isinstance(action, argparse._SubParsersAction)
            for name in action.choices
        ]

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        # argparse would list all thirty commands in one line
        if action.choices is None or value in action.choices:
            return
        names = [str(name) for name in action.choices]
        near = get_close_matches(str(value), names, n=2)
        if action.option_strings:
            msg = f"{self.prog}: {action.option_strings[0]} cannot be {value!r}"
            raise UsageError(msg, hint=f"it can be {', '.join(names)}")
        what = "command" if action.dest in ("command", "verb") else action.dest
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(names)}"
        raise UsageError(f"{self.prog}: no {what} named {value!r}", hint=hint)


class Entry(NamedTuple):
    """A command as the manual lists it."""

    words: str  # "data add"
    parser: argparse.ArgumentParser
    summary: str


class Commands:
    """The place where commands are added, with what all of them share.

    `entries` lists them in the order of the loop, for the manual.
    """

    def __init__(self, kinds: argparse._SubParsersAction[Any], entries: list[Entry], at: str = ""):
        self._kinds = kinds
        self.entries = entries
        self._at = at

    def add(
        self,
        name: str,
        run: Callable[..., Any],
        summary: str,
        more: str = "",
        *,
        speaks: bool = False,
    ) -> Parser:
        """A command: its name, the function that runs it, one line, and more in sentences.

        One that `speaks` prints while it runs, and has no other answer.
        """
        parser = self._parser(name, summary, more)
        _add_shared_options(parser, is_root=False)
        parser.set_defaults(perform=run, speaks=speaks)
        self.entries.append(Entry(f"{self._at}{name}", parser, summary))
        return parser

    def group(self, name: str, summary: str, more: str = "") -> Commands:
        """A noun whose verbs are added to what this returns."""
        parser = self._parser(name, summary, more)
        kinds = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
        return Commands(kinds, self.entries, f"{self._at}{name} ")

    def _parser(self, name: str, summary: str, more: str) -> Parser:
        text = f"{summary}\n\n{more}".strip() if more else summary
        parser: Parser = self._kinds.add_parser(name, help=summary, description=text)
        return parser


class Language(NamedTuple):
    """The parser, and every command it knows."""

    parser: Parser
    entries: list[Entry]


def language(families: Iterable[Callable[[Commands], None]]) -> Language:
    """The whole language, from functions that each add a family of commands."""
    from cd4ml import __version__

    parser = Parser(
        prog=PROGRAM,
        description="Continuous delivery for machine learning: data, pipeline, experiments, gates,\n"
        "release, serving, monitoring, feedback - and again.",
        epilog=_EPILOG,
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    _add_shared_options(parser, is_root=True)
    kinds = parser.add_subparsers(
        dest="command", metavar="COMMAND", required=True, title="commands", parser_class=Parser
    )
    commands = Commands(kinds, [])
    for family in families:
        family(commands)
    return Language(parser, commands.entries)


def spell_out(typed: list[str]) -> list[str]:
    """What was typed, with the verb that a noun takes when none is given.

    `release` is a verb of the loop and a noun with verbs of its own.

    Examples:
        >>> spell_out(["release", "delay/1", "--to", "staging"])
        ['release', 'start', 'delay/1', '--to', 'staging']
        >>> spell_out(["release", "list"])
        ['release', 'list']
        >>> spell_out(["runs"])
        ['runs', 'list']
    """
    place = _command_at(typed)
    if place is None or typed[place] not in _DEFAULT_VERBS:
        return typed
    verb, others = _DEFAULT_VERBS[typed[place]]
    following = typed[place + 1 : place + 2]
    if not following:
        return [*typed, verb] if verb == "list" else typed
    if following[0] in {verb, *others, "-h", "--help"}:
        return typed
    return [*typed[: place + 1], verb, *typed[place + 1 :]]


_DEFAULT_VERBS = {
    "release": (
        "start",
        (
            "list",
            "show",
            "abort",
            "request-changes",
            "again",
            "withdraw",
            "review",
        ),
    ),
    "gate": ("judge", ("list", "show", "slices", "replay")),
    "runs": ("list", ("show", "points", "files", "change", "delete", "restore")),
    "search": ("start", ("resume", "show", "list")),
}

_EPILOG = """\
exit codes: 0 done, 1 error, 2 usage, 3 refused by a gate or a missing approval or role,
or not the same when reproduced, 4 inconclusive (measured, undecided)"""


def _command_at(typed: list[str]) -> int | None:
    """Where the command stands, after options of the program itself."""
    takes_value = {"--as", "--project"}
    place = 0
    while place < len(typed) and typed[place].startswith("-"):
        place += 2 if typed[place] in takes_value else 1
    return place if place < len(typed) else None


def _add_shared_options(parser: argparse.ArgumentParser, *, is_root: bool) -> None:
    # they may stand before the command or after it; only the root sets what is left out
    missing = argparse.SUPPRESS
    shared = parser.add_argument_group("shared options")
    shared.add_argument(
        "--json",
        action="store_true",
        default=False if is_root else missing,
        help="print the answer as JSON on standard output, and nothing else there",
    )
    shared.add_argument(
        "--as",
        dest="actor",
        metavar="NAME",
        default="" if is_root else missing,
        help="who acts (otherwise CD4ML_ACTOR, otherwise your login name)",
    )
    shared.add_argument(
        "--project",
        metavar="FOLDER",
        default="" if is_root else missing,
        help="the project's folder (otherwise CD4ML_PROJECT, otherwise this folder or one above)",
    )


def day_or_time(text: str) -> datetime:
    """A moment; a day is its beginning, and without a zone UTC is meant.

    Raises:
        argparse.ArgumentTypeError: If it is neither.

    Examples:
        >>> day_or_time("2026-12-31").isoformat()
        '2026-12-31T00:00:00+00:00'
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        msg = f"expected a day like 2026-12-31, or 2026-12-31T14:00, got {text!r}"
        raise argparse.ArgumentTypeError(msg) from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def at_most_a_million(text: str) -> int:
    """How many of something, at least one.

    Raises:
        argparse.ArgumentTypeError: If it is not a whole number from 1 to 1,000,000.

    Examples:
        >>> at_most_a_million("20")
        20
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_LISTED):
        msg = f"expected a number from 1 to {_MOST_LISTED:,}, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)
