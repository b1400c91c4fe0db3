"""What is recorded before an answer leaves, and what happens when it cannot be."""

import logging
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from cd4ml.records.alert import Alert
from cd4ml.records.plan import Arm, Plan
from cd4ml.records.settings import CaptureSettings
from cd4ml.serving.answers import Answers, Version
from cd4ml.serving.capture import Capture, Given
from cd4ml.serving.endpoint import Endpoint
from cd4ml.serving.lines import Asked, told
from cd4ml.serving.metrics import Counts
from cd4ml.serving.request import RequestRefused
from cd4ml.serving.trouble import raise_alert
from cd4ml.store import ledger, rows
from cd4ml.store.clock import SimulatedClock, microseconds
from cd4ml.store.database import Database
from cd4ml.store.lines import read_lines
from cd4ml.store.masking import Mask
from cd4ml.store.segment_files import complete_lines, remove_if_abandoned, segments_in
from tests.models.builders import AT, boosted
from tests.serving.builders import Released, arm, server, until
from tests.serving.small_disk import fill, small_disk

CHAMPION = Arm(role="champion", model="delay", number=1, artifact="a", weight_percent=100)
PLAN = Plan(
    number=1, environment="production", model="delay", arms=(CHAMPION,), release=1, made_at=AT
)


class Row(msgspec.Struct):
    name: str
    age: int
    city: str = "Bern"


VERSION = Version(CHAMPION, lambda row: (), lambda values: [], told(PLAN, CHAMPION))


def given(*sequence: int, key: str = "order-17") -> Given:
    """A request of so many rows, and the answers to them."""
    unused: Any = cast(Any, None)
    endpoint = Endpoint(PLAN, unused, unused, unused, None, (), {}, {})
    ids = [f"{0x013BF3685800:012x}{1:012x}{i:08x}" for i in sequence]
    asked = Asked(endpoint, ids, microseconds(AT), [Row("Ada", 36)] * len(ids), key)
    return Given(asked, Answers(VERSION, [0.5] * len(ids)))


class Worker:
    """A capture with its counts."""

    def __init__(self, folder: Path, mask: Mask | None = None, **settings: Any) -> None:
        self.folder = folder
        self.counts = Counts()
        self.capture = Capture(
            folder,
            "worker",
            self.counts,
            clock=SimulatedClock(AT),
            settings=CaptureSettings(**settings),
            mask=mask or Mask(),
        )

    def record(self, which: Given) -> None:
        """Record one request's answers; raises why it is refused."""
        (recorded,) = self.capture.record_all([which])
        if isinstance(recorded, RequestRefused):
            raise recorded

    def answers(self, first: int, n: int = 1) -> int:
        """Record so many answers one by one; returns how many were refused."""
        n_refused = 0
        for i in range(first, first + n):
            try:
                self.record(given(i))
            except RequestRefused:
                n_refused += 1
        return n_refused

    def recorded(self) -> list[Any]:
        lines = [read_lines(complete_lines(path, 0)) for path in segments_in(self.folder)]
        assert not any(each.bad for each in lines)
        return [line for each in lines for line in each.good]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as folder:
        yield folder


def test_what_a_full_disk_cannot_take_is_refused_and_it_goes_on_once_there_is_room(
    disk: Path,
) -> None:
    worker = Worker(disk)
    assert worker.answers(0, 3) == 0
    filler = fill(disk)

    n_refused = worker.answers(3, 60)
    with pytest.raises(RequestRefused) as refused:
        worker.record(given(99))
    filler.unlink()

    assert n_refused > 0
    assert refused.value.status == 503
    assert str(refused.value) == (
        "the answer could not be recorded, so it is not given: No space left on device\n"
        "  hint: make room on the server's disk, or wait until what records answers is back"
    )
    assert worker.answers(100, 5) == 0
    assert len(worker.recorded()) == 3 + 60 - n_refused + 5  # answered and recorded are the same
    assert worker.counts.missing == 0
    worker.capture.stop()


def test_policy_may_be_to_answer_and_to_count_what_is_missing(disk: Path) -> None:
    worker = Worker(disk, when_unwritable="drop")
    fill(disk)

    assert worker.answers(0, 60) == 0

    (incident,) = worker.capture.trouble.untold()
    assert worker.counts.missing == incident.n_missing > 0
    assert incident.reason == "No space left on device"
    assert len(worker.recorded()) == 60 - worker.counts.missing
    assert f"cd4ml_capture_missing_total {worker.counts.missing}\n" in worker.counts.text()
    worker.capture.stop()


def test_a_disk_that_is_full_in_the_middle_of_a_line_keeps_nothing_of_it(disk: Path) -> None:
    worker = Worker(disk)
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - 4096)  # one page: some lines, and a part of one

    assert worker.answers(0, 60) > 0
    filler.unlink()
    worker.answers(60)

    assert "3c" in {line.prediction_id[-2:] for line in worker.recorded()}
    for path in segments_in(disk):
        assert path.stat().st_size == len(complete_lines(path, 0))
    worker.capture.stop()


def test_of_requests_recorded_together_those_that_fit_are_answered(disk: Path) -> None:
    worker = Worker(disk)
    requests = [given(i, 100 + i, 200 + i) for i in range(20)]  # some 14 kB
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - 8192)

    recorded = worker.capture.record_all(requests)

    n_answered = sum(not isinstance(each, RequestRefused) for each in recorded)
    assert 0 < n_answered < 20
    assert all(isinstance(each, RequestRefused) for each in recorded[n_answered:])
    there = {line.prediction_id for line in worker.recorded()}
    for each in requests[:n_answered]:
        assert set(each.asked.ids) <= there
    filler.unlink()
    assert worker.answers(300) == 0
    worker.capture.stop()


def test_a_disk_that_may_not_be_written_to_refuses(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "segments", rotate_mb=1)
    worker.capture._segment.close()
    for path in segments_in(worker.folder):
        path.unlink()
    worker.folder.rename(tmp_path / "away")

    assert worker.answers(0, 3) == 3
    (tmp_path / "away").rename(worker.folder)
    assert worker.answers(3, 3) == 0
    worker.capture.stop()


def test_a_disk_that_is_late_with_a_sync_counts_as_one_that_cannot_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(tmp_path, slow_after_s=0.1, sync_every_ms=1)
    worker.answers(0)
    segment = worker.capture._segment
    assert segment._unsynced_since is not None
    segment._unsynced_since -= 7  # nobody synced for so long

    with pytest.raises(RequestRefused) as refused:
        worker.record(given(1))
    segment.sync()

    assert "the disk has not taken anything for 7 s" in str(refused.value)
    assert worker.answers(2) == 0
    worker.capture.stop()


def test_answers_are_synced_within_the_interval_or_before_they_leave(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", lambda file: (real(file), synced.append(file)))
    each = Worker(tmp_path / "each", sync_every_ms=0)
    each.answers(0, 3)
    assert len(synced) == 3
    each.capture.stop()

    synced.clear()
    sometimes = Worker(tmp_path / "sometimes", sync_every_ms=5)
    sometimes.capture.start()
    sometimes.answers(0, 50)
    until(lambda: sometimes.capture.unsynced_s == 0.0)
    assert 1 <= len(synced) < 50
    sometimes.capture.stop()


def test_fields_are_redacted_and_hashed_and_answers_sampled(tmp_path: Path) -> None:
    mask = Mask(["city"], ["name", "age", "cd4ml-key"], secret=b"secret")
    worker = Worker(tmp_path, mask, sample=0.5)

    worker.answers(0, 400)

    recorded = worker.recorded()
    assert 150 < len(recorded) < 250
    assert worker.counts.sampled_out == 400 - len(recorded)
    inputs = msgspec.json.decode(recorded[0].inputs)
    assert inputs == {"name": mask.hash("Ada"), "age": mask.hash(36), "city": None}
    assert recorded[0].key == mask.hash("order-17")
    assert b"Ada" not in segments_in(tmp_path)[0].read_bytes()
    assert Mask([], ["name"], secret=b"other").hash("Ada") != mask.hash("Ada")
    worker.capture.stop()


def test_an_incident_raises_one_alert_whoever_tells_of_it(
    database: Database, disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(disk)
    fill(disk)
    n_refused = worker.answers(0, 60)
    (incident,) = worker.capture.trouble.untold()

    with database.write() as connection:
        told = [raise_alert(connection, incident, PLAN, now=AT) for _ in range(2)]

    assert told == [True, False]
    worker.capture.trouble.told([incident])
    assert worker.capture.trouble.untold() == []
    with database.read() as connection:
        (alert,) = rows.find(connection, Alert)
        (entry,) = ledger.entries(connection)
    assert (entry.action, entry.subject, entry.reason) == ("alert.raised", alert.ref, alert.message)
    assert alert.message == (
        "answers cannot be recorded: No space left on device "
        f"({n_refused} rows refused, 0 missing so far)"
    )
    assert [r.message for r in caplog.records if r.levelno == logging.ERROR] == [
        "answers cannot be recorded: No space left on device"
    ]
    worker.capture.stop()


@pytest.mark.slow
def test_a_server_on_a_full_disk_refuses_says_so_and_recovers_by_itself(project: Released) -> None:
    project.plan(arm(project.model(boosted(max_iter=2))))

    def alerts() -> list[Alert]:
        with project.project.database.read() as connection:
            return rows.find(connection, Alert)

    with small_disk(project.project.segments) as disk:
        with server(project.folder) as running, running.caller() as caller:
            assert caller.ask().status == 200
            filler = fill(disk)
            statuses = [caller.ask().status for _ in range(80)]
            until(lambda: len(alerts()) == 1)
            until(lambda: caller.get("/ready").status == 503)  # nobody asks for an answer
            filler.unlink()
            until(lambda: caller.get("/ready").status == 200)
            assert caller.ask().status == 200
        n_recorded = len(project.captured())

    assert set(statuses[-5:]) == {503}
    assert n_recorded == 2 + statuses.count(200)
    assert alerts()[0].message.startswith("answers cannot be recorded: No space left on device (")


def test_a_name_that_no_request_has_is_said(project: Released) -> None:
    """Misspelt, it protects nobody: the field that was meant is written down in clear."""
    settings = '[project]\nname = "flights"\n[capture]\nredact = ["carier"]\nhash = ["dest"]\n'
    (project.folder / "cd4ml.toml").write_text(settings)
    project.plan(arm(project.model(boosted())))

    with server(project.folder):
        log = (project.folder / "server.log").read_text()

    assert log.count("[capture]") == 1
    assert (
        "[capture] names 'carier', which requests to delay/1 do not have: a field that is meant by "
        "it is recorded as it comes"
    ) in log


def test_a_folder_that_was_moved_is_missed_within_a_second_and_not_made_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(tmp_path / "segments", sync_every_ms=5)
    worker.capture.start()
    worker.answers(0, 3)
    (file,) = (path for path in segments_in(worker.folder) if path.stat().st_size)
    worker.folder.rename(tmp_path / "away")

    until(lambda: worker.answers(3) == 1)
    with pytest.raises(RequestRefused) as refused:
        worker.record(given(4))
    assert not worker.folder.exists()
    (tmp_path / "away").rename(worker.folder)
    assert worker.answers(5, 3) == 0
    worker.capture.stop()

    assert str(refused.value).startswith(
        "the answer could not be recorded, so it is not given: "
        "the folder in which answers are recorded is gone\n"
    )
    (incident,) = worker.capture.trouble.untold()
    assert incident.reason == "the folder in which answers are recorded is gone"
    assert {line.prediction_id[-1:] for line in worker.recorded()} >= set("012567")
    assert [line.prediction_id[-1:] for line in read_lines(file.read_bytes()).good][:3] == [*"012"]
    (moved,) = (each.getMessage() for each in caplog.records if " was moved: " in each.getMessage())
    assert moved == (
        f"{file.name} was moved: what was answered until now is in the file with inode "
        f"{file.stat().st_ino}, {tmp_path / 'away' / file.name}"
    )


@pytest.mark.parametrize("is_copied", [False, True])
def test_what_was_answered_to_a_file_that_was_removed_is_written_again_under_its_name(
    tmp_path: Path, is_copied: bool
) -> None:
    """Under its name: a collector goes on where it was, and takes no line twice."""
    worker = Worker(tmp_path / "segments", sync_every_ms=5)
    worker.answers(0, 3)
    (file,) = (path for path in segments_in(worker.folder) if path.stat().st_size)
    whole = file.read_bytes()
    if is_copied:  # somebody brings a part of it back from a copy
        shutil.rmtree(worker.folder)
    else:
        file.unlink()
    worker.answers(3)  # on its way into a file that nobody can read

    worker.capture.start()
    if is_copied:
        until(lambda: worker.answers(4) == 1)  # answered until it is noticed
        worker.folder.mkdir()
        file.write_bytes(whole[: len(whole) // 2])
    until(lambda: file.exists() and file.stat().st_size > len(whole))

    assert worker.answers(5) == 0
    worker.capture.stop()
    recorded = sorted(line.prediction_id[-1:] for line in worker.recorded())
    assert [each for each in recorded if each != "4"] == [*"01235"]
    assert file.read_bytes().startswith(whole)
    assert worker.capture.trouble.untold()


def test_of_a_removed_file_that_cannot_be_written_again_the_log_says_how_much_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    worker = Worker(tmp_path / "segments")
    worker.answers(0, 3)
    shutil.rmtree(worker.folder)

    worker.capture.stop()

    (said,) = (each.getMessage() for each in caplog.records if "are lost" in each.getMessage())
    assert re.fullmatch(
        r"\d+ bytes of answers are lost: their files were removed, and cannot be made", said
    )


def test_a_folder_that_is_gone_when_a_worker_starts_is_not_made_anew(tmp_path: Path) -> None:
    Worker(tmp_path / "segments").capture.stop()
    (tmp_path / "segments").rename(tmp_path / "away")

    worker = Worker(tmp_path / "segments")

    assert worker.answers(0) == 1
    assert not worker.folder.exists()
    (tmp_path / "away").rename(worker.folder)
    assert worker.answers(1) == 0
    worker.capture.stop()


def test_by_policy_what_was_not_recorded_for_want_of_a_folder_is_counted(tmp_path: Path) -> None:
    worker = Worker(tmp_path / "segments", when_unwritable="drop", sync_every_ms=5)
    worker.capture.start()
    shutil.rmtree(worker.folder)
    until(lambda: worker.capture.trouble.is_there)

    assert worker.answers(0, 3) == 0

    worker.capture.stop()
    assert worker.counts.missing == 3
    assert worker.capture.trouble.obstacle == ""  # it answers


def test_a_worker_is_not_ready_after_some_seconds_of_refusals_and_finds_out_when_it_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody asks a process that says it is not ready, so it tries for itself."""
    now = [100.0]
    monkeypatch.setattr("cd4ml.serving.trouble.time.monotonic", lambda: now[0])
    worker = Worker(tmp_path / "segments")
    worker.folder.rename(tmp_path / "away")
    capture = worker.capture
    obstacles = []
    for _ in range(3):
        capture._look()
        obstacles.append(capture.trouble.obstacle)
        now[0] += 3

    (tmp_path / "away").rename(worker.folder)
    capture._look()
    obstacles.append(capture.trouble.obstacle)
    now[0] += 31
    capture._look()
    capture._look()

    gone = "the folder in which answers are recorded is gone"
    assert obstacles == ["", "", gone, ""]
    assert not capture.trouble.is_there
    told = [each.getMessage() for each in caplog.records if "recorded again" in each.getMessage()]
    assert told == ["answers are recorded again: 0 rows were refused, 0 are missing"]
    assert [path.name for path in worker.folder.iterdir() if path.suffix == ".tried"] == []
    capture.stop()


def test_a_small_disk_has_room_again_once_what_is_on_it_was_collected(disk: Path) -> None:
    worker = Worker(disk)
    n_refused = worker.answers(0, 400)
    assert 0 < n_refused < 400
    worker.capture._sync()

    gone = [remove_if_abandoned(path, path.stat().st_size) for path in segments_in(disk)]

    assert gone.count(True) >= 1
    assert worker.answers(400, 5) == 0
    worker.capture.stop()


def test_a_full_disk_whose_segments_were_removed_takes_answers_once_they_were_collected(
    disk: Path,
) -> None:
    """What was removed is held in memory, so that its room is free, and written again."""
    worker = Worker(disk)
    filler = fill(disk)
    os.truncate(filler, filler.stat().st_size - 40_960)
    n_answered = 0
    while worker.capture._segment._size < 20_000:
        n_answered += 1 - worker.answers(n_answered)
    (file,) = (path for path in segments_in(disk) if path.stat().st_size)
    whole = file.read_bytes()
    file.unlink()
    fill(disk)  # no room for a second copy of it

    for _ in range(3):
        worker.capture._look()

    assert file.read_bytes() == whole
    assert len(worker.recorded()) == n_answered
    worker.capture.stop()
