"""An environment made again from the lock that a run recorded, kept for the next time.

uv makes it where it is installed, else Python's own venv and pip. Both take the packages from
the registries that they are set up for.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cd4ml
from cd4ml.errors import Unavailable
from cd4ml.pipeline.environment import Environment
from cd4ml.pipeline.lock import local, requirements
from cd4ml.store.address import address_of_record, short

_READY = "ready"
_SHOWN = 5  # lines of what an installer says
_TIMEOUT_S = 3600
_OWN = "cd4ml"


def locked_environment(environment: Environment, lock: str, *, cache: Path) -> Path:
    """The Python of an environment with exactly these distributions, made if it is not there.

    Where cd4ml itself did not come from a registry, or is not in the lock, the one that is
    running is made available there.

    Args:
        environment: What was recorded.
        lock: Its lock, see `pipeline.lock`.
        cache: The folder in which environments are kept.

    Raises:
        Unavailable: If its Python or its distributions cannot be had; says what the
            installer said.
    """
    folder = cache / short(address_of_record([environment, lock]))
    python = folder / "bin" / "python"
    with _alone(folder):
        if not (folder / _READY).exists():
            shutil.rmtree(folder, ignore_errors=True)
            _make(environment, lock, folder, python)
            (folder / _READY).write_text("")
    return python


def _make(environment: Environment, lock: str, folder: Path, python: Path) -> None:
    wanted = requirements(lock)
    needed = folder.with_name(f"{folder.name}.txt")
    uv = _uv()
    if uv:
        needed.write_text(wanted)
        _installer(uv, "venv", "--quiet", "--python", _python(environment), str(folder))
        target = ("--python", str(python), "--no-deps", "-r", str(needed))
        _installer(uv, "pip", "install", "--quiet", *target)
    else:
        needed.write_text(_without_partial_hashes(wanted))
        _refuse_other_python(environment)
        _installer(sys.executable, "-m", "venv", str(folder))
        quiet = ("--quiet", "--disable-pip-version-check", "--no-deps")
        _installer(str(python), "-m", "pip", "install", *quiet, "-r", str(needed))
    if _OWN in local(lock) or f"{_OWN}==" not in f"\n{wanted}":
        _lend_own(python)


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return str(beside) if beside.exists() else shutil.which("uv") or ""


def _python(environment: Environment) -> str:
    """What uv is asked for: this Python where it is the one, else its version."""
    if environment.python == _version():
        return sys.executable
    return f"{environment.implementation}@{environment.python}"


def _version() -> str:
    return ".".join(str(part) for part in sys.version_info[:3])


def _refuse_other_python(environment: Environment) -> None:
    if environment.python != _version():
        msg = f"Python {environment.python} is not here, this one is {_version()}"
        raise Unavailable(msg, hint="uv finds other versions of Python: pip install uv")


def _without_partial_hashes(wanted: str) -> str:
    """Pip takes hashes for all distributions or for none."""
    lines = wanted.splitlines()
    if all("--hash=" in line for line in lines):
        return wanted
    return "".join(f"{line.partition(' --hash=')[0]}\n" for line in lines)


def _installer(*command: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_TIMEOUT_S,
            env={**environment, "NO_COLOR": "1", "UV_NO_PROGRESS": "1"},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{Path(command[0]).name} does not work: {error}") from None
    if done.returncode != 0:
        raise Unavailable(_last(done.stderr or done.stdout))


def _last(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return "; ".join(_sentences(lines)[-_SHOWN:]) or "the installer said nothing"


_PREFIX = re.compile(r"^(error|cause): ", re.IGNORECASE)


def _sentences(lines: Sequence[str]) -> list[str]:
    # pip repeats itself, and uv draws arrows
    plain = (line.encode("ascii", "ignore").decode().strip() for line in lines)
    return list(dict.fromkeys(_PREFIX.sub("", line) for line in plain))


def _lend_own(python: Path) -> None:
    """Make the cd4ml that is running importable by another Python."""
    found = subprocess.run(
        [str(python), "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    place = Path(found.stdout.strip())
    if not (place / _OWN).exists():
        (place / _OWN).symlink_to(Path(cd4ml.__file__).parent, target_is_directory=True)
        told = place / f"{_OWN}-{cd4ml.__version__}.dist-info"
        told.mkdir()  # what is installed is read from the names of such folders
        told.joinpath("METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {_OWN}\nVersion: {cd4ml.__version__}\n"
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
