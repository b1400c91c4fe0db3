import json
import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from benchmarks import contest
from benchmarks.contest import Cost, cost_of, cost_of_command, figure, in_turn, keeps, rounded


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where environments and scratch folders are kept."""
    monkeypatch.setattr(contest, "CACHE", tmp_path / "cache")
    return tmp_path / "cache"


def wheel(folder: Path) -> Path:
    """A package `tiny` with nothing in it."""
    path = folder / "tiny-1.0-py3-none-any.whl"
    files = {
        "tiny.py": "",
        "tiny-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: tiny\nVersion: 1.0\n",
        "tiny-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tiny-1.0.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return path


def test_a_figure_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert figure("a beside b", 3.0009, "times", "<= 3")
    assert not figure("rows", 199.4, "rows/s", ">= 200")
    assert figure("seconds", 0.012345, "s") is None

    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [
        {"name": "a beside b", "value": 3, "unit": "times", "goal": "<= 3", "holds": True},
        {"name": "rows", "value": 199, "unit": "rows/s", "goal": ">= 200", "holds": False},
        {"name": "seconds", "value": 0.0123, "unit": "s", "goal": "", "holds": None},
    ]


@pytest.mark.parametrize(
    ("value", "goal", "holds"),
    [(3, "<= 3", True), (3.01, "<= 3", False), (5, ">= 5", True), (4.99, ">= 5", False)],
)
def test_a_goal_is_held_up_to_its_limit(value: float, goal: str, *, holds: bool) -> None:
    assert keeps(value, goal) is holds


def test_values_keep_three_digits_that_count() -> None:
    assert [rounded(value) for value in (0.0012345, 3.14159, 99.99, 1234.5, 0.0)] == [
        0.00123,
        3.14,
        100,
        1234,
        0,
    ]


def test_contestants_take_turns_and_medians_count() -> None:
    order = []
    costs = {"a": iter([1.0, 9.0, 2.0]), "b": iter([4.0, 4.0, 40.0])}

    def turn(name: str) -> dict[str, Cost]:
        order.append(name)
        return {name: Cost(next(costs[name]), 0.5)}

    median = in_turn([lambda: turn("a"), lambda: turn("b")], rounds=3)

    assert order == ["a", "b"] * 3
    assert median == {"a": Cost(2.0, 0.5), "b": Cost(4.0, 0.5)}


@pytest.mark.alone
def test_a_cost_counts_waiting_as_time_but_not_as_work() -> None:
    cost = cost_of(lambda: time.sleep(0.2))

    assert 0.2 <= cost.wall_s < 2
    assert cost.cpu_s < 0.1


def test_a_command_is_paid_for_with_all_its_processes(tmp_path: Path) -> None:
    work = "import time\nwhile time.process_time() < 0.3: pass"
    parent = (
        f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}]); print('ok')"
    )

    cost, said = cost_of_command(sys.executable, "-c", parent, cwd=tmp_path)

    assert said == "ok\n"
    assert cost.cpu_s >= 0.3


def test_a_command_that_fails_says_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"-c 1/0 ended with exit code 1:\n(.|\n)*ZeroDivision"):
        cost_of_command(sys.executable, "-c", "1/0", cwd=tmp_path)


@pytest.mark.usefixtures("cache")
def test_nothing_is_left_of_a_scratch_folder_even_if_it_was_locked() -> None:
    with contest.scratch() as folder:
        locked = folder / "objects"
        locked.mkdir()
        (locked / "a").touch()
        (locked / "link").symlink_to(folder)
        locked.chmod(0o500)

    assert not folder.exists()


def test_a_link_to_a_folder_is_removed_and_the_folder_is_not(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "there")

    contest.remove(tmp_path / "link")
    contest.remove(tmp_path / "nothing")

    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_who_wants_a_folder_that_is_being_made_waits_until_it_is_there(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "tiny-1.0"

    def make(n: int) -> bool:
        with contest.one_at_a_time(folder):
            is_first = not folder.exists()
            if is_first:
                time.sleep(0.05)
                folder.mkdir()
        return is_first

    with ThreadPoolExecutor(4) as makers:
        assert sorted(makers.map(make, range(4))) == [False, False, False, True]


@pytest.mark.slow
def test_the_environment_of_a_peer_is_made_once(cache: Path, tmp_path: Path) -> None:
    package = wheel(tmp_path)

    programs = contest.environment("tiny", str(package))
    made = os.stat(programs / "python")
    again = contest.environment("tiny", str(package))

    assert programs == again
    assert programs.is_relative_to(cache)
    assert os.stat(again / "python") == made
    subprocess.run([programs / "python", "-c", "import tiny"], check=True)
