"""A module runs in a process of its own, in a clean folder, with the variables it is given."""

import os
import time
from pathlib import Path

import psutil
import pytest

from cd4ml.pipeline.apart import Told, run_apart


def said(folder: Path, expression: str, **variables: str) -> list[str]:
    """What Python says to an expression in such a process, on standard output."""
    lines: list[str] = []
    code = run_apart(
        "timeit",
        f"import os, sys; print({expression})",
        python=None,
        folder=folder,
        variables=variables,
        told=Told(line=lines.append, aside=lambda line: None),
    )
    assert code == 0
    return lines


def test_it_runs_in_the_folder_and_imports_nothing_from_there(tmp_path: Path) -> None:
    (tmp_path / "timeit.py").write_text("raise SystemExit(3)")

    assert said(tmp_path, "os.getcwd()")[0] == str(tmp_path)
    assert said(tmp_path, "'' in sys.path")[0] == "False"


def test_only_the_variables_that_decide_results_are_those_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONHASHSEED", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("CD4ML_DATABASE", "postgresql://elsewhere")
    monkeypatch.setenv("OF_THE_PROJECT", "kept")
    names = "PYTHONHASHSEED", "OMP_NUM_THREADS", "CD4ML_DATABASE", "OF_THE_PROJECT"

    (line, *_) = said(tmp_path, f"*map(os.environ.get, {names})", PYTHONHASHSEED="5")

    assert line == "5 None None kept"


def test_paths_of_python_stay_those_that_were_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.environ.get("PYTHONPATH", "")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["here", before]))

    (line, *_) = said(tmp_path, "os.environ['PYTHONPATH']")

    assert str(Path("here").absolute()) in line.split(os.pathsep)


def test_its_exit_code_and_what_it_says_beside_are_told(tmp_path: Path) -> None:
    aside: list[str] = []

    code = run_apart(
        "timeit",
        "import os, sys; print('no more', file=sys.stderr, flush=True); os._exit(4)",
        python=None,
        folder=tmp_path,
        variables={},
        told=Told(line=lambda line: None, aside=aside.append),
    )

    assert (code, aside) == (4, ["no more"])


def test_it_ends_with_whoever_listens(tmp_path: Path) -> None:
    def interrupt(line: str) -> None:
        raise KeyboardInterrupt

    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_apart(
            "timeit",
            "import time; print('on'); __import__('sys').stdout.flush(); time.sleep(100)",
            python=None,
            folder=tmp_path,
            variables={},
            told=Told(line=interrupt, aside=lambda line: None),
        )

    assert time.monotonic() - began < 60
    running = [
        each for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE
    ]
    assert not any("timeit" in each.cmdline() for each in running)
