import json
from pathlib import Path

import pytest

from tools.bench import run

FIGURE = {"name": "a beside b", "value": 2.5, "unit": "times", "goal": "<= 3", "holds": True}


def benchmark(folder: Path, name: str, *lines: object, about: str = "Is a fast?", end: str = ""):
    """A program that prints lines of JSON, and then does what `end` says."""
    folder.mkdir(exist_ok=True)
    printed = [f"print({json.dumps(json.dumps(line))})" for line in lines]
    text = "\n".join([repr(about), *printed, end, ""])
    (folder / f"bench_{name}.py").write_text(text)


def tables(page: Path) -> list[str]:
    """The lines of all sections of a page."""
    return page.read_text().partition("\n## ")[2].splitlines()


def test_figures_are_passed_through_and_written_down(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "benchmarks", tmp_path / "benchmarks.md"
    missed = {"name": "`x|y`", "value": 1280, "unit": "rows", "goal": ">= 2000", "holds": False}
    told = {"name": "b", "value": 0.43, "unit": "s", "goal": "", "holds": None}
    benchmark(folder, "a", {"peer": "b", "version": "1.2"}, FIGURE, missed, told)

    assert run(folder, page) == 0

    printed = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert printed == [{"peer": "b", "version": "1.2"}, FIGURE, missed, told]
    *lines, last = tables(page)
    assert lines == [
        "bench_a",
        "",
        "Is a fast?",
        "",
        "| figure | value | goal | holds |",
        "|---|---|---|---|",
        "| a beside b | 2.5 times | at most 3 | yes |",
        "| `x\\|y` | 1,280 rows | at least 2000 | **no** |",
        "| b | 0.43 s |  |  |",
        "",
    ]
    assert " cores, " in last
    assert last.endswith("; beside b 1.2.")


def test_a_page_says_what_a_benchmark_is_about_but_not_how_it_is_run(tmp_path: Path) -> None:
    folder, page = tmp_path / "benchmarks", tmp_path / "benchmarks.md"
    benchmark(
        folder, "a", FIGURE, about="Is a fast,\nreally?\n\nOn one core.\n\nRun:\n    so\n\nMore."
    )

    run(folder, page)

    about = ["Is a fast,", "really?", "", "On one core.", ""]
    assert tables(page)[2:8] == [*about, "| figure | value | goal | holds |"]


def test_a_crash_fails_the_run_and_leaves_the_table_as_it_was(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "benchmarks", tmp_path / "benchmarks.md"
    benchmark(folder, "a", FIGURE)
    benchmark(folder, "b", FIGURE)
    run(folder, page)
    benchmark(folder, "a", FIGURE | {"value": 9}, end="raise SystemExit(3)")
    benchmark(folder, "b", FIGURE | {"value": 1})

    assert run(folder, page) == 1

    assert "bench_a.py ended with exit code 3" in capfd.readouterr().err
    values = [line.split(" | ")[1] for line in tables(page) if "beside b" in line]
    assert values == ["2.5 times", "1 times"]


def test_a_benchmark_that_measures_nothing_fails_the_run(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "benchmarks"
    benchmark(folder, "a", "no figure", {"name": "one without a value"})

    assert run(folder, tmp_path / "benchmarks.md") == 1

    assert "bench_a.py printed no figure" in capfd.readouterr().err


def test_one_benchmark_can_be_run_alone(tmp_path: Path) -> None:
    folder, page = tmp_path / "benchmarks", tmp_path / "benchmarks.md"
    for name in ("a", "b", "c"):
        benchmark(folder, name, FIGURE)
    run(folder, page)
    benchmark(folder, "b", FIGURE | {"value": 1})
    (folder / "bench_c.py").unlink()

    assert run(folder, page, ["b"]) == 0

    values = [line.split(" | ")[1] for line in tables(page) if "beside b" in line]
    assert values == ["2.5 times", "1 times"]  # and none of what is no longer there


def test_an_unknown_benchmark_is_refused_before_anything_runs(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, page = tmp_path / "benchmarks", tmp_path / "benchmarks.md"
    benchmark(folder, "a", FIGURE)
    benchmark(folder, "b", FIGURE)

    assert run(folder, page, ["a", "z"]) == 2

    assert capfd.readouterr() == ("", "no benchmark z; known: a, b\n")
    assert not page.exists()
