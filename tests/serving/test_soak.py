"""Swaps, killed workers and a full disk under load: every answer is on record, once.

CD4ML_TEST_SOAK_S says for how long; `make soak` takes ten minutes.
"""

import os
from contextlib import ExitStack

import pytest

from cd4ml.models.runtime import load
from tests.models.builders import ROW, boosted, logistic
from tests.serving.builders import Released, arm, server
from tests.serving.small_disk import small_disk
from tests.serving.soak import N_WORKERS, Callers, Collector, on_record, trouble

SECONDS = float(os.environ.get("CD4ML_TEST_SOAK_S", "4"))
CALLERS = 4
_MB = 2**20


@pytest.mark.slow
@pytest.mark.crash
@pytest.mark.timeout(SECONDS * 2 + 240)
def test_every_answer_is_on_record_once_whatever_happens(project: Released) -> None:
    (project.folder / "cd4ml.toml").write_text(
        '[project]\nname = "flights"\n[capture]\nrotate_mb = 1\n'
    )
    artifacts = [project.model(boosted()), project.model(logistic())]
    scores = [
        load(project.project.blobs, each, is_trusted=lambda _: False).score([ROW])[0]
        for each in artifacts
    ]
    project.plan(arm(artifacts[0]))

    with ExitStack() as stack:
        disk = None
        if os.geteuid() == 0:  # nobody else may mount a disk
            disk = stack.enter_context(small_disk(project.project.segments, size=32 * _MB))
        running = stack.enter_context(server(project.folder, workers=N_WORKERS))
        callers, collector = Callers(running, CALLERS), Collector(project)
        callers.start()
        collector.start()
        try:
            happened = trouble(project, running, artifacts, disk, callers, seconds=SECONDS)
        finally:
            callers.stop()
            code = running.end()
            collector.stop()
        recorded = on_record(project)
        set_aside = project.project.log.set_aside()

    print(  # noqa: T201 - what `make soak` shows
        f"{len(callers.answered)} answered, {len(callers.refused)} refused,"
        f" {len(callers.lost)} connections lost; {happened.swaps} swaps,"
        f" {len(happened.killed)} kills, {len(happened.full)} full disks"
    )
    assert code == 0
    assert (callers.wrong, callers.n_twice, collector.errors) == ([], 0, [])
    answered = {(key, *given) for key, given in callers.answered.items()}
    assert len(answered) > 100
    assert answered <= set(recorded)
    assert set(recorded.values()) == {1}
    assert len({row[0] for row in recorded}) == len(recorded)
    unheard = len(recorded) - len(answered)  # recorded, and its worker killed before it was sent
    assert unheard <= len(callers.lost) <= CALLERS * len(happened.killed)
    for _, plan, number, score in answered:
        assert (number, score) == (2 - plan % 2, scores[number - 1])
    assert all(happened.is_excused(at) for at, _ in callers.refused)
    assert bool(callers.refused) == (disk is not None)
    full = "the answer could not be recorded, so it is not given: No space left on device"
    assert {why for _, why in callers.refused} <= {full}
    assert not set_aside
