"""Load on an HTTP server by wrk, and what the server spent on it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import NamedTuple

_SCRIPT = """
wrk.method = "POST"
wrk.headers["content-type"] = "{kind}"
local file = io.open("{body}", "rb")
wrk.body = file:read("*a")
file:close()
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\n{{"n": %d, "s": %f, "p50_us": %f, "p99_us": %f, "failed": %d}}\\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class Load(NamedTuple):
    """What a server answered while it was loaded."""

    per_s: float
    p50_us: float
    p99_us: float
    cpu_us: float  # the server's processor time of one answer
    failed: int


def script(folder: Path, name: str, body: bytes, kind: str = "application/json") -> Path:
    """A script for wrk that posts a body again and again."""
    content = folder / f"{name}.body"
    content.write_bytes(body)
    written = folder / f"{name}.lua"
    written.write_text(_SCRIPT.format(body=content, kind=kind))
    return written


def load(wrk: str, url: str, lua: Path, *, connections: int, seconds: int, pid: int) -> Load:
    """Keep so many connections busy for some seconds.

    Args:
        wrk: Where it is.
        url: What is asked.
        lua: What is posted, of `script`.
        connections: Kept alive; each has one request in flight.
        seconds: For so long.
        pid: The server's process.
    """
    before = cpu_s(pid)
    words = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(lua), url]
    patience_s = seconds + 30
    ended = subprocess.run(words, capture_output=True, text=True, check=False, timeout=patience_s)
    if ended.returncode:
        raise RuntimeError(f"wrk failed on {url}: {ended.stdout[-300:]}{ended.stderr[-300:]}")
    said = ended.stdout
    seen = json.loads(said.strip().splitlines()[-1])
    spent = cpu_s(pid) - before
    n = max(seen["n"], 1)
    return Load(n / seen["s"], seen["p50_us"], seen["p99_us"], spent / n * 1e6, seen["failed"])


def cpu_s(pid: int) -> float:
    """Seconds of processor that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
