"""The inside of a worker process: it calls what it is told to call, until nobody asks any more.

It leads a session of its own, so that Ctrl-C at the terminal reaches only who started it,
and so that it can be ended together with all the processes it has started. When its parent is
gone, whatever ended it, the system ends the whole group.
"""

from __future__ import annotations

import fcntl
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import traceback
from collections.abc import Callable
from io import TextIOWrapper
from typing import Any, NamedTuple, TypeVar

_LENGTH = struct.Struct("!Q")
_CHUNK = 1 << 20
_SMALL = 1 << 16
DISCONNECTED = 76  # exit code: EX_PROTOCOL of sysexits.h
_F_SETSIG = 10  # of Linux; Python 3.11 has no name for it


BEGUN = b"begun"

F = TypeVar("F", bound=Callable[..., Any])

_LOADS_FIRST = "loads_first"

_waiting: list[socket.socket] = []  # for a call with a limit of time to begin, in a worker process


class Request(NamedTuple):
    """A call, pickled, variables of the environment that it wants, and whether its time is limited."""

    call: bytes
    environment: dict[str, str]
    is_timed: bool


class Reply(NamedTuple):
    """What a call gave: a pickled value, or a pickled exception and its traceback as text."""

    is_done: bool
    pickled: bytes
    traceback: str = ""


def main(connection: int, life: int) -> None:
    """Answer requests on a socket until it is closed.

    Args:
        connection: File descriptor of the socket.
        life: File descriptor of the pipe whose other end the parent holds while it lives.
    """
    end_with_parent(life)
    for stream in (sys.stdout, sys.stderr):
        # nothing that can be printed shall be an error; before the descriptors are exchanged,
        # since a stream asks its file where it stands
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    os.dup2(2, 1)  # what is printed between calls is nobody's answer
    me = os.getpid()
    channel = socket.socket(fileno=connection)
    while (data := receive(channel)) is not None:
        request = Request(*pickle.loads(data))  # noqa: S301 - from the parent alone
        _waiting[:] = [channel] if request.is_timed else []
        reply = _answer(request)
        if os.getpid() != me:  # a process that the call forked, and forgot to end
            os._exit(0)
        try:
            send(channel, pickle.dumps(tuple(reply), pickle.HIGHEST_PROTOCOL))
        except OSError:  # the call has closed what was not its own
            os._exit(DISCONNECTED)


def loads_first(function: F) -> F:
    """A function that loads libraries, and calls `begin` once it has: only then its time counts."""
    function.__dict__[_LOADS_FIRST] = True
    return function


def begin() -> None:
    """Tell the parent that the limit of time counts from now; where there is none nobody is told."""
    for channel in _waiting:
        send(channel, BEGUN)


def send(channel: socket.socket, data: bytes) -> None:
    """One message."""
    head = _LENGTH.pack(len(data))
    if len(data) <= _SMALL:  # the other side wakes up once
        channel.sendall(head + data)
        return
    channel.sendall(head)
    channel.sendall(data)


def receive(channel: socket.socket) -> bytes | None:
    """The next message; None if the other side is gone."""
    head = _exactly(channel, _LENGTH.size)
    return None if head is None else _exactly(channel, _LENGTH.unpack(head)[0])


def _exactly(channel: socket.socket, length: int) -> bytes | None:
    room = memoryview(bytearray(length))
    filled = 0
    while filled < length:
        try:
            n_read = channel.recv_into(room[filled:], min(length - filled, _CHUNK))
        except OSError:
            return None
        if n_read == 0:
            return None
        filled += n_read
    return bytes(room)


def _answer(request: Request) -> Reply:
    try:
        os.environ.update(request.environment)
        function, arguments = pickle.loads(request.call)  # noqa: S301 - from the parent alone
        if not getattr(function, _LOADS_FIRST, False):
            begin()
        value = function(*arguments)
        return Reply(True, pickle.dumps(value, pickle.HIGHEST_PROTOCOL))
    except BaseException as error:
        text = "".join(traceback.format_exception(error))
        return Reply(False, _pickled(error), text)


def _pickled(error: BaseException) -> bytes:
    """An exception as bytes that give it back; b"" where it has none such."""
    try:
        data = pickle.dumps(error, pickle.HIGHEST_PROTOCOL)
        pickle.loads(data)  # noqa: S301 - just written
    except Exception:
        return b""
    return data


def end_with_parent(life: int) -> None:
    """Have the system kill this process's group when the pipe's other end closes."""
    if sys.platform == "linux":
        # by the kernel: a call that never lets other threads run must not outlive its parent
        fcntl.fcntl(life, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(life, _F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(life, fcntl.F_SETFL, fcntl.fcntl(life, fcntl.F_GETFL) | os.O_ASYNC)
    threading.Thread(target=_wait_for_the_end, args=(life,), daemon=True).start()


def _wait_for_the_end(life: int) -> Any:
    os.read(life, 1)  # nobody writes: it returns when the parent is gone, even before the above
    os.killpg(0, signal.SIGKILL)
