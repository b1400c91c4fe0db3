"""Whoever is killed while a model becomes a version leaves it whole or not at all."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from cd4ml.loop import Project
from cd4ml.loop.registry import models
from cd4ml.records.run import Run
from cd4ml.store import rows
from tests.loop import kill_registry
from tests.loop.test_graduate import trained
from tests.loop.test_log_model import begun


@pytest.mark.crash
@pytest.mark.timeout(400)
def test_wherever_it_is_killed_the_same_commands_go_on(project: Project) -> None:
    trained(project)
    begun(project)
    (project.folder / "model.pkl").write_bytes(pickle.dumps(kill_registry.Fitted(0)))

    done = subprocess.run(
        [sys.executable, "-m", kill_registry.__name__, str(project.folder)],
        capture_output=True, text=True, check=False, cwd=Path(kill_registry.__file__).parents[2],
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    n_killed = int(done.stdout)
    assert n_killed > 40
    names = {f"{kind}{n}/1" for kind in "mb" for n in range(n_killed + 1)}
    assert {each.version.ref for each in models(project)} == names
    with project.database.read() as connection:
        running = [run.ref for run in rows.find(connection, Run) if run.state == "running"]
    assert running == ["run/2"]
