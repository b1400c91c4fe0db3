"""A module of cd4ml, run by a process in a clean folder and under a Python of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, NamedTuple

import cd4ml
from cd4ml.pipeline.environment import VARIABLES
from cd4ml.pipeline.module import is_installed_file

_NOT_ITS_OWN = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "PYTHONSTARTUP")


class Told(NamedTuple):
    """Who is told of each line on standard output, and on standard error."""

    line: Callable[[str], None]
    aside: Callable[[str], None]


def run_apart(
    module: str,
    argument: str,
    *,
    python: Path | None,
    folder: Path,
    variables: Mapping[str, str],
    told: Told,
) -> int:
    """Run `python -m MODULE ARGUMENT` in a folder until it ends; returns its exit code.

    It ends with whoever waits for it, also on Ctrl-C.

    Args:
        module: A module of cd4ml.
        argument: Its one argument.
        python: Of another environment; None for the present one.
        folder: Where it runs; nothing is imported from there unless the module says so.
        variables: The environment variables that decide results; no others of them are set.
        told: Who hears what it prints.
    """
    process = subprocess.Popen(
        [str(python or sys.executable), "-P", "-m", module, argument],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=_environment(variables, is_present=python is None),
    )
    with process:
        aside = threading.Thread(target=_pass_on, args=(process.stderr, told.aside), daemon=True)
        aside.start()
        try:
            _pass_on(process.stdout, told.line)
        except BaseException:
            process.kill()
            raise
        aside.join()
    return process.returncode


def _pass_on(stream: IO[str] | None, listener: Callable[[str], None]) -> None:
    for line in stream or ():
        listener(line.rstrip("\n"))


def _environment(variables: Mapping[str, str], *, is_present: bool) -> dict[str, str]:
    left_out = {*VARIABLES, *_NOT_ITS_OWN}
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in left_out and not name.startswith("CD4ML_")
    }
    paths = [os.path.abspath(each) for each in _python_path()] if is_present else []
    own = Path(cd4ml.__file__).parent
    if is_present and not is_installed_file(own):
        paths.insert(0, str(own.parent))  # a checkout: this one, and no other
    path = {"PYTHONPATH": os.pathsep.join(dict.fromkeys(paths))} if paths else {}
    return {**kept, **path, **variables}


def _python_path() -> list[str]:
    return [each for each in os.environ.get("PYTHONPATH", "").split(os.pathsep) if each]
