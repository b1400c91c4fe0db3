"""Run one command, and leave with the exit code that its end has."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO
from uuid import uuid4

from cd4ml.cli.commands import FAMILIES
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import language, spell_out
from cd4ml.errors import Cd4mlError

INTERRUPTED = 130  # 128 + SIGINT, as shells count
PIPE_CLOSED = 141  # 128 + SIGPIPE


def main(typed: Sequence[str] | None = None) -> int:
    """Run the command that was typed; returns its exit code.

    Every error that cd4ml can explain ends in its message and exit code; a
    traceback goes to a file, whose place the one printed line names.
    """
    # OpenMP's threads spin while they wait for each other; where the cores are busy with
    # something else, a fit of scikit-learn then takes several times as long
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    words = list(sys.argv[1:] if typed is None else typed)
    is_json = "--json" in words
    try:
        code = _run(words)
        sys.stdout.flush()
    except Cd4mlError as error:
        return _explain(error, is_json=is_json)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        _silence(sys.stdout)
        return PIPE_CLOSED
    return code


def _run(typed: list[str]) -> int:
    given = Given(language(FAMILIES).parser.parse_args(spell_out(typed)))
    try:
        answer: Answer[Any] = given.words.perform(given)
        _print(answer, is_json=given.is_json)
    except (Cd4mlError, BrokenPipeError):
        raise
    except Exception as error:
        return _report(error, given)
    finally:
        given.close()
    return answer.exit_code


def _print(answer: Answer[Any], *, is_json: bool) -> None:
    if is_json:
        print(as_json(answer.value))
        return
    from cd4ml.cli.screen import Screen

    answer.show(Screen(), answer.value)


def as_json(value: object) -> str:
    """A record, a report, or a list of them, as indented JSON; what is not finite is null."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def _explain(error: Cd4mlError, *, is_json: bool) -> int:
    fault = {"error": error.message, "hint": error.hint}
    print(_printable(as_json(fault) if is_json else f"error: {error}"), file=sys.stderr)
    return error.exit_code


def _report(error: Exception, given: Given) -> int:
    place = _keep_traceback(error, given)
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    hint = f"this is a bug of cd4ml; the traceback is in {place}"
    return _explain(Cd4mlError(what, hint=hint), is_json=given.is_json)


def _keep_traceback(error: Exception, given: Given) -> Path:
    folder = _error_folder(given)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{uuid4().hex}.txt"
    path.write_text("".join(traceback.format_exception(error)))
    return path


def _error_folder(given: Given) -> Path:
    try:
        return given.project.state / "errors"
    except Exception:  # the project itself may be what is broken
        import tempfile

        return Path(tempfile.gettempdir()) / f"cd4ml-errors-{os.getuid()}"


def _printable(text: str) -> str:
    from cd4ml.cli.printable import printable

    return printable(text)


def _silence(stream: TextIO) -> None:
    # Python flushes the stream once more at its end, and would complain there
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
