"""Numbers that outlive the process that wrote them, and are read by all."""

import os
import signal
import subprocess
import sys

from hypothesis import given
from hypothesis import strategies as st

from cd4ml.serving.board import SPILLED, Board, shared_memory
from cd4ml.serving.exposition import folded, forget_present, sample, text
from cd4ml.serving.metrics import Counts

names = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n"), min_size=1)


@given(st.lists(st.tuples(names, st.integers(0, 2**53 - 1)), max_size=20))
def test_what_was_written_is_read(written: list[tuple[str, int]]) -> None:
    board = Board(2)
    for name, number in written:
        board.slots[1].cells[board.slots[1].cell(name)] = number

    assert board.slots[1].read().items() >= dict(written).items()
    assert board.slots[0].read() == {}


def test_what_a_killed_process_had_counted_is_counted_on() -> None:
    memory = shared_memory(1)
    board = Board(1, memory)
    program = (
        "import os, sys; from cd4ml.serving.board import Board; from cd4ml.serving.metrics import"
        " Counts; counts = Counts(Board(1, int(sys.argv[1])));"
        " counts.requests.add(200, 41); counts.set('cd4ml_shadow_queue', 7);"
        " os.kill(os.getpid(), 9)"
    )
    words = [sys.executable, "-c", program, str(memory)]

    ended = subprocess.run(words, pass_fds=[memory], check=False)
    forget_present(board.slots[0])
    successor = Counts(Board(1, memory))
    successor.requests.add(200)
    os.close(memory)

    assert ended.returncode == -signal.SIGKILL
    numbers = board.slots[0].read()
    assert numbers['cd4ml_requests_total{status="200"}'] == 42
    assert numbers["cd4ml_shadow_queue"] == 0  # nothing waits for who is gone


def test_names_for_which_there_is_no_room_are_counted_together() -> None:
    slot = Board(1).slots[0]
    long = "x" * 400_000
    for i in range(5):
        slot.cells[slot.cell(f"{long}{i}")] += 1

    assert {name[:1] for name in slot.read()} == {"c", "x"}
    assert slot.read()[SPILLED] == 3


def test_each_metric_says_how_workers_are_taken_together() -> None:
    written = [
        {"cd4ml_plan": 4.0, "cd4ml_capture_lag_seconds": 2.0, "cd4ml_shadow_queue": 2.0},
        {"cd4ml_plan": 3.0, "cd4ml_capture_lag_seconds": 9.0, "cd4ml_shadow_queue": 3.0},
        {"cd4ml_plan": 0.0},
    ]

    assert folded(written) == {
        "cd4ml_plan": 3,
        "cd4ml_capture_lag_seconds": 9,
        "cd4ml_shadow_queue": 5,
    }


def test_latencies_are_a_histogram_as_prometheus_has_it() -> None:
    board = Board(2)
    for number, seconds in ((0, 0.0001), (0, 0.0002), (1, 0.03), (1, 60.0)):
        Counts(board, number).latency.add("delay", 3, seconds)

    lines = [line for line in text(board.slots).splitlines() if "request_seconds" in line][2:]

    counted = [float(line.rpartition(" ")[2]) for line in lines]
    assert counted == [1, *[2] * 7, *[3] * 6, 4, 60.0303, 4]
    label = 'model="delay",version="3"'
    assert lines[0] == f'cd4ml_request_seconds_bucket{{{label},le="0.0001"}} 1'
    assert lines[-3] == f'cd4ml_request_seconds_bucket{{{label},le="+Inf"}} 4'
    assert lines[-1] == f"cd4ml_request_seconds_count{{{label}}} 4"


def test_labels_of_any_text_stay_on_their_line() -> None:
    name = sample("cd4ml_unknown_categories_total", {"field": 'a"b\\c\nd'})

    assert name == r'cd4ml_unknown_categories_total{field="a\"b\\c\nd"}'
