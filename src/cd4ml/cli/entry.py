"""Run one command, and leave with the exit code that its end has."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cd4ml.cli.again import answered
from cd4ml.cli.output import as_json, give_up, kept_for_the_answer, writing
from cd4ml.errors import Cd4mlError, refused_by_system

if TYPE_CHECKING:
    from pathlib import Path

    from cd4ml.cli.given import Answer, Given

INTERRUPTED = 130  # 128 + SIGINT, as shells count
_YOUNG = 150_000  # objects made since garbage was looked for
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
    if typed is None and words[:1] != ["serve"]:
        # imports make what stays: looking through it for garbage, again and again, takes a tenth
        # of the time of a short command
        gc.set_threshold(_YOUNG)
    is_json = "--json" in words
    try:
        return 0 if answered(words) else _run(words)
    except Cd4mlError as error:
        return _explain(error, is_json=is_json)
    except KeyboardInterrupt as interrupt:
        _end_at_once_if_told_again()
        if interrupt.args:
            print(_printable(str(interrupt)), file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        give_up()
        return PIPE_CLOSED


def _end_at_once_if_told_again() -> None:
    """Let another Ctrl-C end the process, and not what it does in the end with a traceback."""
    import signal
    import threading

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run(typed: list[str]) -> int:
    from cd4ml.cli.commands import FAMILIES
    from cd4ml.cli.given import Given
    from cd4ml.cli.words import language, spell_out

    given = Given(language(FAMILIES).parser.parse_args(spell_out(typed)), typed)
    try:
        with kept_for_the_answer(is_on=given.is_json and not given.words.speaks):
            answer: Answer[Any] = given.words.perform(given)
        with writing():
            _print(answer, is_json=given.is_json)
            sys.stdout.flush()
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
    import traceback
    from uuid import uuid4

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
    from pathlib import Path

    return Path(tempfile.gettempdir()) / f"cd4ml-errors-{os.getuid()}"


def _printable(text: str) -> str:
    from cd4ml.cli.printable import printable

    return printable(text)
