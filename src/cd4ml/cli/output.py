"""Standard output: where the answer goes, and nothing else when a machine reads it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress

from cd4ml.errors import Unavailable

_STDOUT, _STDERR = 1, 2


@contextmanager
def kept_for_the_answer(*, is_on: bool) -> Iterator[None]:
    """Send what anything prints meanwhile to standard error, also what child processes print.

    A project's pipeline is code of other people: it prints, and so do the programs that it
    starts.
    """
    if not is_on:
        yield
        return
    with redirect_stdout(sys.stderr), _descriptor_moved():
        yield


@contextmanager
def _descriptor_moved() -> Iterator[None]:
    try:
        before = os.dup(_STDOUT)
    except OSError:  # there is no standard output at all
        yield
        return
    try:
        _flush()
        with suppress(OSError):  # or no standard error
            os.dup2(_STDERR, _STDOUT)
        yield
    finally:
        _flush()
        os.dup2(before, _STDOUT)
        os.close(before)


def _flush() -> None:
    if sys.__stdout__ is not None:
        sys.__stdout__.flush()


def give_up() -> None:
    """Write nothing more there: Python flushes once more at its end, and would complain."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def writing() -> Iterator[None]:
    """The answer is written: what goes wrong now does not mean that nothing was done.

    Raises:
        Unavailable: If it cannot be written.
    """
    if sys.stdout is None:  # closed by whoever began us
        msg = "the answer cannot be written: there is no standard output"
        raise Unavailable(msg, hint="the command itself was carried out")
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:  # a full disk, for instance
        give_up()
        msg = f"the answer cannot be written to standard output: {error.strerror}"
        raise Unavailable(msg, hint="the command itself was carried out") from None


def as_json(value: object) -> str:
    """A record, a report, or a list of them, as indented JSON; what is not finite is null."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
