import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from cd4ml.errors import Corrupted
from cd4ml.store.clock import SharedClock, SimulatedClock, SystemClock, open_clock
from tests.store.processes import at_once

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# between these two moments every byte of the file changes: a torn read shows
LOW = EPOCH + timedelta(microseconds=0x0000_00FF_FFFF_FFFF)
HIGH = EPOCH + timedelta(microseconds=0x0001_0000_0000_0000)


def test_the_system_clock_tells_the_machines_time_in_utc() -> None:
    before = datetime.now(UTC)
    clock = SystemClock()

    for moment in (clock.now(), clock.machine_time()):
        assert before <= moment <= datetime.now(UTC)
        assert moment.tzinfo is UTC


@pytest.fixture(params=["in one process", "shared"])
def simulated(
    request: pytest.FixtureRequest, tmp_path: Path, now: datetime
) -> SimulatedClock | SharedClock:
    if request.param == "shared":
        return SharedClock.create(tmp_path / "clock", now)
    return SimulatedClock(now)


def test_a_simulated_clock_stands_still_until_it_is_moved(
    simulated: SimulatedClock | SharedClock, now: datetime
) -> None:
    later = now + timedelta(days=31, microseconds=1)

    assert simulated.now() == now
    simulated.advance_to(later)

    assert simulated.now() == later
    assert simulated.now().tzinfo is UTC


def test_a_simulated_clock_never_goes_back(
    simulated: SimulatedClock | SharedClock, now: datetime
) -> None:
    simulated.advance_to(now - timedelta(days=1))

    assert simulated.now() == now


def test_a_simulated_clock_takes_a_moment_of_any_zone(
    simulated: SimulatedClock | SharedClock,
) -> None:
    simulated.advance_to(datetime(2013, 7, 1, 12, tzinfo=timezone(timedelta(hours=-4))))

    assert simulated.now() == datetime(2013, 7, 1, 16, tzinfo=UTC)


def test_leases_are_not_simulated(simulated: SimulatedClock | SharedClock) -> None:
    before = datetime.now(UTC)

    assert before <= simulated.machine_time() <= datetime.now(UTC)


def test_the_last_moment_of_the_calendar_can_be_simulated(
    simulated: SimulatedClock | SharedClock,
) -> None:
    last = datetime.max.replace(tzinfo=UTC)

    simulated.advance_to(last)

    assert simulated.now() == last


def test_a_project_uses_the_simulated_clock_that_a_rehearsal_left(
    tmp_path: Path, now: datetime
) -> None:
    assert isinstance(open_clock(tmp_path), SystemClock)

    SharedClock.create(tmp_path / "clock", now)

    assert open_clock(tmp_path).now() == now


def test_an_existing_clock_is_kept_when_it_is_created_again(tmp_path: Path, now: datetime) -> None:
    clock = SharedClock.create(tmp_path / "state" / "clock", now)
    clock.advance_to(now + timedelta(days=5))

    again = SharedClock.create(tmp_path / "state" / "clock", now)

    assert again.now() == now + timedelta(days=5)
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["clock"]


@pytest.mark.parametrize("damaged", [b"", b"2013", b"2013-01-01T00:00:00Z"])
def test_a_file_that_is_no_clock_is_said_to_be_none(tmp_path: Path, damaged: bytes) -> None:
    path = tmp_path / "clock"
    path.write_bytes(damaged)

    with pytest.raises(Corrupted) as refused:
        open_clock(tmp_path)

    assert str(refused.value) == (
        f"the simulated clock {path} is not what was stored there\n"
        "  hint: remove the file to go on in the machine's time"
    )


def move_or_watch(path: Path, first: int) -> bool:
    """Move the clock to every fourth second of an hour; who has no first second watches.

    Returns whether the clock never went back.
    """
    clock = SharedClock(path)
    seen = []
    if first < 0:
        while not seen or seen[-1] < EPOCH + timedelta(seconds=3599):
            seen.append(clock.now())
    for second in range(first, 3600, 4) if first >= 0 else ():
        clock.advance_to(EPOCH + timedelta(seconds=second))
    return seen == sorted(seen)


def test_processes_that_move_it_at_once_never_move_it_back(tmp_path: Path) -> None:
    clock = SharedClock.create(tmp_path / "clock", EPOCH)

    answers = at_once(move_or_watch, [(tmp_path / "clock", first) for first in range(-1, 4)])

    assert all(answers)
    assert clock.now() == EPOCH + timedelta(seconds=3599)


def swing_or_watch(path: Path, is_watching: bool, seconds: float) -> set[datetime]:
    """Store two moments in turn, as fast as may be (the clock itself only goes on), or watch."""
    clock = SharedClock(path)
    low, high = ((moment - EPOCH) // timedelta(microseconds=1) for moment in (LOW, HIGH))
    file = clock._microseconds
    end = time.monotonic() + seconds
    seen = set()
    while time.monotonic() < end:
        if is_watching:
            seen.update(clock.now() for _ in range(1000))
            continue
        for _ in range(1000):
            file[0] = low
            file[0] = high
    return seen


def test_a_reader_sees_all_eight_bytes_of_a_moment_or_none(tmp_path: Path) -> None:
    path = tmp_path / "clock"
    SharedClock.create(path, LOW)

    _, seen = at_once(swing_or_watch, [(path, False, 0.6), (path, True, 0.5)])

    assert seen <= {LOW, HIGH}


def create_and_move(path: Path, now: datetime, days: int) -> None:
    SharedClock.create(path, now).advance_to(now + timedelta(days=days))


def test_processes_that_create_it_at_once_share_one_clock(tmp_path: Path, now: datetime) -> None:
    for attempt in range(5):
        path = tmp_path / f"{attempt}" / "clock"

        at_once(create_and_move, [(path, now, days) for days in range(1, 5)])

        assert SharedClock(path).now() == now + timedelta(days=4)
