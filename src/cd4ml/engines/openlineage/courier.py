"""Bringing events to a file or an HTTP endpoint, without making a run wait or fail.

What cannot be delivered now is kept, in order, and goes with what is sent next. An event may
arrive twice, which OpenLineage allows: the same run, type and time are the same event.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cd4ml.errors import ConfigurationError

FILE, HTTP = "file:", ("http://", "https://")

_log = logging.getLogger(__name__)


def courier(target: str, *, kept: Path, api_key: str = "", patience_s: float = 1.0) -> Courier:
    """A courier to a target.

    Args:
        target: "file:PATH" (events are appended, one a line) or "http://..." (they are posted).
        kept: The folder for what could not be delivered.
        api_key: Sent as a bearer token, if there is one.
        patience_s: How long a delivery may take before it counts as failed.

    Raises:
        ConfigurationError: If the target is neither, or OpenLineage is not installed.
    """
    try:
        from openlineage.client.transport.file import FileConfig, FileTransport
        from openlineage.client.transport.http import HttpConfig, HttpTransport
    except ImportError:
        msg = "OpenLineage events need the package openlineage-python, which is not installed"
        raise ConfigurationError(msg, hint="pip install 'cd4ml[openlineage]'") from None
    if target.startswith(FILE) and len(target) > len(FILE):
        path = Path(target.removeprefix(FILE))
        path.parent.mkdir(parents=True, exist_ok=True)
        return Courier(FileTransport(FileConfig(str(path), append=True)), kept, patience_s)
    if target.startswith(HTTP):
        options: dict[str, Any] = {"url": target, "timeout": patience_s, "retry": {"total": 0}}
        if api_key:
            options["auth"] = {"type": "api_key", "apiKey": api_key}
        if endpoint := os.environ.get("OPENLINEAGE_ENDPOINT"):
            options["endpoint"] = endpoint
        return Courier(HttpTransport(HttpConfig.from_dict(options)), kept, patience_s)
    msg = f"expected OpenLineage events to go to file:PATH or http://..., got {target!r}"
    raise ConfigurationError(msg, hint="[lineage] openlineage in cd4ml.toml, or OPENLINEAGE_URL")


class Courier:
    """Delivers events by one of OpenLineage's transports; what fails is kept for later.

    Once a delivery failed, this courier keeps what follows without trying: one run waits once.
    """

    def __init__(self, transport: Any, kept: Path, patience_s: float) -> None:
        self._transport = transport
        self._kept = kept
        self._patience_s = patience_s
        self._has_failed = False
        self._taken = kept / f"taken-{os.getpid()}-{id(self)}.ndjson"

    def send(self, event: dict[str, Any]) -> bool:
        """Deliver an event, and before it what was kept; returns whether it is there.

        Takes no longer than the courier's patience, and raises nothing.
        """
        line = json.dumps(event)
        try:
            return self._send(line)
        except OSError as error:  # the folder for what is kept cannot be written either
            _log.error("an OpenLineage event is lost: %s: %s", error, line)
            return False

    @property
    def n_kept(self) -> int:
        """How many events wait to be delivered."""
        return sum(len(path.read_text().splitlines()) for path in self._kept.glob("*.ndjson"))

    def _send(self, line: str) -> bool:
        if self._has_failed:
            self._keep([line])
            return False
        waiting = [*self._take(), line]
        delivered, reason = self._deliver(waiting)
        self._keep(waiting[delivered:])
        self._taken.unlink(missing_ok=True)
        if delivered == len(waiting):
            return True
        self._has_failed = True
        _log.warning(
            "%d OpenLineage events could not be delivered (%s); they are kept in %s",
            self.n_kept, reason, self._kept,
        )  # fmt: skip
        return False

    def _deliver(self, lines: list[str]) -> tuple[int, str]:
        """How many of the lines got there in time, and why not all of them did."""
        progress: list[int] = []
        reasons = [f"no answer within {self._patience_s:g} s"]

        def deliver() -> None:
            try:
                for line in lines:
                    self._transport.emit(json.loads(line))
                    progress.append(1)
            except Exception as error:  # whatever a transport raises, the run goes on
                reasons.append(f"{type(error).__name__}: {error}")

        # in a thread: looking up a host's name knows no timeout
        thread = threading.Thread(target=deliver, name="openlineage", daemon=True)
        thread.start()
        thread.join(self._patience_s)
        return len(progress), reasons[-1]

    def _take(self) -> list[str]:
        """What was kept, also by processes that died with it; nobody else takes it as well."""
        if not self._kept.is_dir():
            return []
        with self._locked():
            own = self._taken
            orphans = [p for p in self._kept.glob("taken-*.ndjson") if not _is_alive(p)]
            found = sorted([*orphans, *self._kept.glob("waiting.ndjson")])
            lines = [line for path in found for line in path.read_text().splitlines() if line]
            if lines:
                own.write_text("".join(f"{line}\n" for line in lines))
            for path in found:
                path.unlink()
        return lines

    def _keep(self, lines: list[str]) -> None:
        if not lines:
            return
        self._kept.mkdir(parents=True, exist_ok=True)
        with self._locked(), (self._kept / "waiting.ndjson").open("a") as file:
            file.write("".join(f"{line}\n" for line in lines))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Alone with what is kept; nobody delivers anything meanwhile, so it is a moment."""
        with (self._kept / "lock").open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield


def _is_alive(taken: Path) -> bool:
    number = taken.stem.split("-")[1]
    try:
        os.kill(int(number), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
