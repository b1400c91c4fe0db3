"""The socket that callers connect to."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator

from cd4ml.errors import Unavailable

BACKLOG = 2048
_OTHER_PORT = "choose another with --port; is a server running already?"
_OTHER_HOST = "--host is an address of this machine; 0.0.0.0 are all that it has"


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; connections wait in it until somebody accepts them.

    Raises:
        Unavailable: If the port cannot be had.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except (OSError, OverflowError) as error:
        number = getattr(error, "errno", None) or 0
        reason = os.strerror(number) if number > 0 else str(error)  # resolving fails below 0
        msg = f"cannot listen on {host} port {port}: {reason}"
        is_port = number in (errno.EADDRINUSE, errno.EACCES)
        raise Unavailable(msg, hint=_OTHER_PORT if is_port else _OTHER_HOST) from None


def waiting_at(listening: socket.socket) -> Iterator[socket.socket]:
    """The connections that wait in a socket, each accepted; who closes it then breaks none."""
    listening.setblocking(False)
    while True:
        try:
            yield listening.accept()[0]
        except ConnectionAbortedError:
            continue  # the caller has left
        except OSError:  # none waits, or no more can be had
            return


def url_of(listening: socket.socket, host: str) -> str:
    """Where it can be reached."""
    shown = f"[{host}]" if ":" in host else host
    return f"http://{shown}:{listening.getsockname()[1]}"
