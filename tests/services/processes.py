"""Child processes of a test run: started on a free port, never outliving the run."""

import os
import random
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path


class ServiceUnavailable(Exception):
    """A service that tests can use cannot run here; the message says why."""


_PORTS = range(20_000, 30_000)  # a system that is asked for any port gives higher ones
_chance = random.SystemRandom()  # not the one that tests seed


def free_ports(n: int) -> int:
    """The first of `n` neighbouring TCP ports of 127.0.0.1 on which nobody listens now.

    None is given to who asks for port 0, as servers and connections of other tests do.
    """
    while True:
        first = _chance.choice(_PORTS)
        if all(is_free(first + i) for i in range(n)):
            return first


def is_free(port: int) -> bool:
    """Whether nobody listens on a port."""
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def ends_with_parent(command: Sequence[str], *, user: str | None = None) -> list[str]:
    """The command, run as `user`, and ended by the kernel when its parent is killed.

    A test run stopped with `kill -9` cannot clean up; setpriv (util-linux) asks the
    kernel to. Where setpriv is missing (macOS) the command is returned as it is.
    """
    if shutil.which("setpriv") is None:
        return list(command)
    identity = [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    return ["setpriv", "--pdeathsig=TERM", *identity, "--", *command]


def start(command: Sequence[str], *, log: Path, cwd: Path) -> "subprocess.Popen[bytes]":
    """The command as a child process; everything it prints goes to `log`."""
    with log.open("wb") as sink:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT, cwd=cwd
        )


def wait_until(
    is_ready: Callable[[], bool],
    process: "subprocess.Popen[bytes]",
    *,
    log: Path,
    timeout_s: float = 60.0,
) -> None:
    """Returns once the service answers.

    Raises:
        ServiceUnavailable: If the process ended first or time ran out, with its last words.
    """
    deadline = time.monotonic() + timeout_s
    while process.poll() is None and time.monotonic() < deadline:
        if is_ready():
            return
        time.sleep(0.05)
    last_words = log.read_text(errors="replace")[-2000:]
    msg = f"{process.args!r} did not answer within {timeout_s:.0f} s; it printed:\n{last_words}"
    raise ServiceUnavailable(msg)


def stop(process: "subprocess.Popen[bytes]", *, by: signal.Signals = signal.SIGTERM) -> None:
    """Ends exactly this process, by force after ten seconds."""
    if process.poll() is not None:
        return
    os.kill(process.pid, by)
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
