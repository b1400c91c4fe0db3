"""Killed wherever something lasting is written, and asked again: the end is the same."""

import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.audit import verify
from cd4ml.records.approval import Approval
from cd4ml.records.dataset import DatasetVersion
from cd4ml.records.job import Job
from cd4ml.records.model_version import Alias, ModelVersion
from cd4ml.records.plan import Plan
from cd4ml.records.release import Release
from cd4ml.records.run import Run
from cd4ml.records.trigger import Trigger
from cd4ml.records.verdict import Verdict
from cd4ml.store import rows
from tests.loop.world import entries

HERE = Path(__file__).parent
pytestmark = [pytest.mark.crash, pytest.mark.slow, pytest.mark.timeout(300)]


def play(folder: Path, *options: str) -> int:
    """How many processes were killed on the way."""
    done = subprocess.run(
        [sys.executable, str(HERE / "kill_loop.py"), str(folder), *options],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *sys.path])},
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout)


def end_state(project: Project) -> dict[str, Any]:
    """All that must be the same. Runs are not numbered alike: interrupted ones have numbers too."""
    with project.database.read() as connection:
        versions = rows.find(connection, ModelVersion)
        return {
            "versions": [(v.ref, v.artifact, v.contract, v.verdict) for v in versions],
            "finished runs": [
                (run.experiment, run.parameters, run.refs, run.outputs)
                for run in rows.find(connection, Run, state="finished")
            ],
            "data": rows.find(connection, DatasetVersion),
            "verdicts": [
                (v.outcome, v.champion, v.policy, v.holdout, v.findings)
                for v in rows.find(connection, Verdict)
            ],
            "releases": [
                (r.ref, r.version, r.environment, r.state, r.step, r.plan, r.content, r.entered_at)
                for r in rows.find(connection, Release)
            ],
            "approvals": rows.find(connection, Approval),
            "plans": rows.find(connection, Plan),
            "champion": rows.find(connection, Alias),
            "asked": (rows.find(connection, Job), rows.find(connection, Trigger)),
            "predictions": sorted(project.log.predictions().collect()["prediction_id"]),
            "ledger": Counter(
                (entry.action, entry.actor, entry.at)
                for entry in entries(project)
                if entry.action != "run.failed"
            ),
        }


def test_a_retraining_and_its_rollout_killed_at_every_write_end_as_undisturbed_ones(
    released_folder: Path, tmp_path: Path
) -> None:
    left_alone, killed = tmp_path / "left-alone", tmp_path / "killed"
    shutil.copytree(released_folder, left_alone)
    shutil.copytree(released_folder, killed)

    n_killed = play(killed)
    assert play(left_alone, "--undisturbed") == 0

    assert n_killed >= 15
    with open_project(killed) as disturbed, open_project(left_alone) as undisturbed:
        expected = end_state(undisturbed)
        assert end_state(disturbed) == expected
        assert [release[:4] for release in expected["releases"]] == [
            ("release/1", 1, "staging", "superseded"),
            ("release/2", 1, "production", "superseded"),
            ("release/3", 2, "staging", "released"),
            ("release/4", 2, "production", "released"),
        ]
        assert verify(disturbed).entries > verify(undisturbed).entries  # the interrupted runs
