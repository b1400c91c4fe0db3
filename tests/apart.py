"""Environments without cd4ml in which packaged models are tried: made once, outside the repository."""

import hashlib
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

from benchmarks.contest import CACHE, one_at_a_time

_QUIET = ("--quiet", "--disable-pip-version-check")


def environment_of(requirements: str, *, install: tuple[str, ...]) -> Path:
    """The Python of an empty environment in which requirements were installed, as they say.

    Args:
        requirements: The text of the file.
        install: The words after `pip install` that an image would use.
    """
    key = hashlib.sha256(f"{requirements}{install}{sys.version_info[:2]}".encode()).hexdigest()
    folder = CACHE / f"packaged-{key[:8]}"
    python = folder / "bin" / "python"
    with one_at_a_time(folder):
        if not (folder / "made").exists():
            venv.create(folder, clear=True, with_pip=True)
            (folder / "requirements.txt").write_text(requirements)
            command = [python, "-m", "pip", "install", *_QUIET, *install, "-r", "requirements.txt"]
            subprocess.run(command, cwd=folder, check=True)
            (folder / "made").touch()
    return python


def installed(python: Path, wheel: Path, prefix: Path) -> Path:
    """Install a wheel into an empty prefix, all it requires being there; its site-packages."""
    pip = [python, "-m", "pip", "install", *_QUIET, "--no-index", "--prefix", prefix, wheel]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return next(prefix.glob("lib/python*/site-packages"))


def bare(site: Path, **variables: str) -> dict[str, str]:
    """The environment of a process that knows only what is installed."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(site), "OMP_NUM_THREADS": "1", **variables}


def said(python: Path, site: Path, program: str, *words: str) -> Any:
    """What a program says in JSON, run where cd4ml is not installed."""
    done = subprocess.run(
        [python, "-c", program, *words],
        env=bare(site),
        cwd=site,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
