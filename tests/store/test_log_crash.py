"""Collectors and writers are killed at the worst moments; every answer counts exactly once."""

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from cd4ml.store import ledger
from cd4ml.store.answer_counts import answered_by
from cd4ml.store.log import PredictionLog
from cd4ml.store.segment_files import segments_in
from cd4ml.store.segments import Segment
from cd4ml.store.shipped import FOLDER, name_of
from tests.store.answers import START, answer, append, line, log_in, prediction_id
from tests.store.kill_collector import forget_ada

HERE = Path(__file__).parent
PATHS = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE.parents[1]), *sys.path])}
pytestmark = pytest.mark.crash


def ids(log: PredictionLog) -> list[str]:
    return sorted(log.predictions().collect()["prediction_id"])


def counted(log: PredictionLog) -> int:
    with log.database.read() as connection:
        return sum(each.n for each in answered_by(connection, [("delay", 1)]))


def killed_at_every_step_of(work: str, folder: Path) -> Iterator[int]:
    """Kill it in copies of `before`, and give the number of each; the last one ends by itself.

    What is done with one happens while the next ones are killed.
    """
    program = [sys.executable, str(HERE / "kill_collector.py"), str(folder), work]
    n = -1
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=PATHS) as process:
        assert process.stdout is not None
        for n, line in enumerate(process.stdout):
            assert line == f"{n}\n"
            yield n
    assert process.returncode == 0
    assert n > 50


def test_a_collector_killed_at_any_step_counts_each_line_once(tmp_path: Path) -> None:
    before = tmp_path / "before"
    waiting = log_in(before)  # makes the database once, not in each copy
    objects = waiting._blobs.below(FOLDER)
    objects.create(name_of("0" * 16, 2), line(answer(4)) + b"\n")
    waiting.collect()
    objects.create(name_of("0" * 16, 1), line(answer(3)) + b"\n")  # arrives late
    for i in range(3):
        segment = Segment(before / "segments", f"worker-{i}")
        segment.append(line(answer(i)))
        segment.append(b"not a prediction")
        segment.close()

    waiting.database.close()  # nothing changes while it is copied

    for i in killed_at_every_step_of("collect", tmp_path):
        log = log_in(tmp_path / f"killed-{i}")
        log.collect()
        assert ids(log) == [prediction_id(k) for k in range(5)]
        assert counted(log) == 5
        assert sorted(
            DeltaTable(log.tables[0].delta.url).to_pyarrow_table()["prediction_id"].to_pylist()
        ) == ids(log)
        assert sum(aside.n_lines for aside in log.set_aside()) == 3
        assert segments_in(log.segments) == []


def test_who_forgets_and_is_killed_at_any_step_has_forgotten_after_the_same_call_again(
    tmp_path: Path,
) -> None:
    before = log_in(tmp_path / "before")
    append(before.segments, answer(1, key="Ada"), answer(2, key="Bo"))
    before.collect()
    before.add_labels(pl.DataFrame([label(1), label(2)]), "batch")
    before.database.close()  # nothing changes while it is copied

    for i in killed_at_every_step_of("forget", tmp_path):
        log = log_in(tmp_path / f"killed-{i}")
        forget_ada(log)
        assert ids(log) == [prediction_id(2)]
        assert log.labels().collect()["prediction_id"].to_list() == [prediction_id(2)]
        with log.database.read() as connection:
            noted = [entry.details["predictions"] for entry in ledger.entries(connection)]
        assert sum(noted) == 1
        # two tables of one file each, and what a killed process had stored and not listed
        for table in log.tables:
            table.sweep(-timedelta(hours=1))
            stored = [n.name for n in table._blobs.names() if "_delta_log" not in n.name]
            assert len(stored) == 1
            assert DeltaTable(table.delta.url).to_pyarrow_table().num_rows == 1


def label(sequence: int) -> dict[str, object]:
    return {
        "prediction_id": prediction_id(sequence),
        "value": 1.0,
        "labelled_at": START,
        "arrived_at": START,
        "labelled_by": "airline",
    }


WRITER = """
import sys
from pathlib import Path
from cd4ml.store.segments import Segment
from tests.store.answers import answer, line
segment = Segment(Path(sys.argv[1]), "writer", rotate_bytes=20_000)
for i in range(int(sys.argv[2]), 10**9):
    segment.append(line(answer(i)))
    sys.stdout.write(f"{i}\\n")
    sys.stdout.flush()
"""

COLLECTOR = """
import sys
from pathlib import Path
from tests.store.answers import log_in
import polars
log = log_in(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    log.collect()
"""


def run(program: str, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=PATHS)


def test_writers_and_collectors_killed_at_random_lose_and_repeat_nothing(tmp_path: Path) -> None:
    chance = random.Random(7)
    answered: list[int] = []
    for attempt in range(4):
        collector = run(COLLECTOR, str(tmp_path))
        assert collector.stdout is not None
        collector.stdout.readline()
        writer = run(WRITER, str(tmp_path / "segments"), str(attempt * 10**6))
        assert writer.stdout is not None
        answered.append(int(writer.stdout.readline()))
        time.sleep(0.1 + chance.random() * 0.4)
        for process in chance.sample([writer, collector], 2):
            process.kill()
            time.sleep(chance.random() * 0.05)
        output, _ = writer.communicate()
        collector.communicate()
        answered.extend(int(text) for text in output.split(b"\n")[:-1])

    log = log_in(tmp_path)
    log.collect()

    collected = pl.Series(ids(log))
    assert len(answered) > 100
    assert collected.is_unique().all()
    assert counted(log) == len(collected)
    assert set(map(prediction_id, answered)) <= set(collected)
    assert len(collected) <= len(answered) + 4  # one line a writer may have come before its answer
    assert segments_in(log.segments) == []
