"""Several processes that do the same thing at the same moment."""

import multiprocessing
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

# each process is forked from a small one that has imported what they all need
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "alembic.command",
        "hypothesis",
        "psycopg",
        "pytest",
        "sqlalchemy.dialects.postgresql.psycopg",
        "sqlalchemy.dialects.sqlite.pysqlite",
        "cd4ml.store.jobs",
        "cd4ml.store.migrations",
        "cd4ml.store.people",
        "tests.store.processes",
        "tests.store.records",
    ]
)


def at_once(target: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> list[Any]:
    """What `target` returned for each tuple of arguments, each in a process of its own.

    `target` is a function of a module: the processes import it.

    Raises:
        AssertionError: If it raised in a process, with the traceback.
    """
    start = _CONTEXT.Barrier(len(arguments))
    pipes = [_CONTEXT.Pipe(duplex=False) for _ in arguments]
    processes = [
        _CONTEXT.Process(target=_answer, args=(start, writer, target, given))
        for given, (_, writer) in zip(arguments, pipes, strict=True)
    ]
    for process in processes:
        process.start()
    answers = [reader.recv() for reader, _ in pipes]
    for process in processes:
        process.join()
    failures = [failure for _, failure in answers if failure]
    assert not failures, "\n".join(failures)
    return [result for result, _ in answers]


def _answer(
    start: Barrier, writer: Connection, target: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    start.wait()
    try:
        writer.send((target(*arguments), ""))
    except BaseException:
        writer.send((None, traceback.format_exc()))
