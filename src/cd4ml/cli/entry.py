"""Run one command, and leave with the exit code that its end has."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from cd4ml.cli.commands import FAMILIES
from cd4ml.cli.given import Answer, Given
from cd4ml.cli.output import give_up, kept_for_the_answer
from cd4ml.cli.words import language, spell_out
from cd4ml.errors import Cd4mlError, Unavailable, refused_by_system

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
        return _run(words)
    except Cd4mlError as error:
        return _explain(error, is_json=is_json)
    except KeyboardInterrupt as interrupt:
        if interrupt.args:
            print(_printable(str(interrupt)), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        give_up()
        return PIPE_CLOSED


def _run(typed: list[str]) -> int:
    given = Given(language(FAMILIES).parser.parse_args(spell_out(typed)))
    try:
        with kept_for_the_answer(is_on=given.is_json and not given.words.speaks):
            answer: Answer[Any] = given.words.perform(given)
        with _writing():
            _print(answer, is_json=given.is_json)
            sys.stdout.flush()
    except (Cd4mlError, BrokenPipeError):
        raise
    except Exception as error:
        return _report(error, given)
    finally:
        given.close()
    return answer.exit_code


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, for instance
        give_up()
        msg = f"the answer cannot be written to standard output: {error.strerror}"
        raise Unavailable(msg, hint="the command itself was carried out") from None


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
    refused = refused_by_system(error) if isinstance(error, OSError) else None
    if refused:
        return _explain(refused, is_json=given.is_json)
    what = f"{type(error).__name__}: {error}".splitlines()[0]
    hint = f"this is a bug of cd4ml; the traceback is {_keep_traceback(error, given)}"
    return _explain(Cd4mlError(what, hint=hint), is_json=given.is_json)


def _keep_traceback(error: Exception, given: Given) -> str:
    """Write it to a file that can be written; says where it is."""
    text = "".join(traceback.format_exception(error))
    for folder in (_error_folder(given), _temporary_folder()):
        path = folder / f"{uuid4().hex}.txt"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        except OSError:
            continue
        return f"in {path}"
    return "lost: no folder could be written"


def _error_folder(given: Given) -> Path:
    try:
        return given.project.state / "errors"
    except Exception:  # the project itself may be what is broken
        return _temporary_folder()


def _temporary_folder() -> Path:
    import tempfile

    return Path(tempfile.gettempdir()) / f"cd4ml-errors-{os.getuid()}"


def _printable(text: str) -> str:
    from cd4ml.cli.printable import printable

    return printable(text)
