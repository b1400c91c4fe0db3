"""What cd4ml costs before it does anything."""

import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

HEAVY = ("numpy", "polars", "sqlalchemy", "sklearn", "rich", "onnxruntime", "scipy", "starlette")


def cpu_s(program: str) -> float:
    """CPU seconds of a fresh Python that runs a program: the least of three."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", program], check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(
            after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime,
        )
    return min(seconds)


@pytest.mark.alone
def test_importing_it_costs_a_fifth_of_a_second_of_cpu_at_most() -> None:
    assert cpu_s("import cd4ml") - cpu_s("pass") <= 0.2


@pytest.mark.alone
def test_its_help_is_there_in_two_fifths_of_a_second() -> None:
    seconds = []
    for _ in range(5):
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "cd4ml", "--help"], capture_output=True, text=True, check=True
        )
        seconds.append(time.perf_counter() - began)

    assert done.stdout.startswith("usage: cd4ml")
    assert min(seconds) <= 0.4


@pytest.mark.parametrize(
    "program",
    [
        "import cd4ml",
        "import cd4ml; cd4ml.step, cd4ml.Model, cd4ml.Metrics",
        "import cd4ml; cd4ml.log, cd4ml.current_run",
        "from cd4ml.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass",
    ],
)
def test_neither_loads_anything_heavy(program: str) -> None:
    told = f"{program}\nimport sys; print(*sys.modules, file=sys.stderr)"

    done = subprocess.run(
        [sys.executable, "-c", told], capture_output=True, text=True, check=True, env=os.environ
    )

    assert set(HEAVY) & set(done.stderr.split()) == set()


def test_opening_a_project_takes_no_library_of_numbers(tmp_path: Path) -> None:
    (tmp_path / "cd4ml.toml").write_text(
        '[project]\nname = "flights"\n[[gate]]\nmetric = "auc"\nat_least = 0.6\n'
    )
    program = "from cd4ml.loop import open_project; open_project()\n"

    done = subprocess.run(
        [sys.executable, "-c", f"{program}import sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )

    assert {"numpy", "polars", "sklearn", "scipy"} & set(done.stdout.split()) == set()
