"""Importing projects: their own modules, as they are now, whatever was imported before."""

import importlib
import os
import sys
import threading
from pathlib import Path

import pytest

from cd4ml.errors import PipelineError
from cd4ml.pipeline.module import imported
from tests.pipeline.projects import edit, project, write


def test_two_projects_may_call_their_modules_alike(tmp_path: Path) -> None:
    one = project(tmp_path / "one", pipeline="import helpers\nX = helpers.X", helpers="X = 1")
    two = project(tmp_path / "two", pipeline="import helpers\nX = helpers.X", helpers="X = 2")

    found = []
    for folder in (one, two, one):
        with imported(folder, "pipeline") as module:
            found.append(module.X)

    assert found == [1, 2, 1]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    folder = project(tmp_path, pipeline="import helpers", helpers="X = 1")
    before = (list(sys.path), list(sys.meta_path))

    with imported(folder, "pipeline"):
        assert {"pipeline", "helpers"} <= set(sys.modules)

    assert not {"pipeline", "helpers"} & set(sys.modules)
    assert (sys.path, sys.meta_path) == before


def test_other_threads_may_import_meanwhile(tmp_path: Path) -> None:
    folder = project(tmp_path, **{"pipeline": "X = 1"} | {f"part_{n}": "X = 1" for n in range(99)})
    done = threading.Event()

    def import_and_forget() -> None:
        while not done.is_set():
            for n in range(500):
                sys.modules[f"elsewhere_{n}"] = os
            for n in range(500):
                del sys.modules[f"elsewhere_{n}"]

    other = threading.Thread(target=import_and_forget)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)  # seconds: threads change often, also inside a comprehension
    other.start()
    try:
        for _ in range(10):
            with imported(folder, "pipeline") as module:
                assert module.X == 1
    finally:
        done.set()
        other.join()
        sys.setswitchinterval(interval)


def test_an_edit_of_the_same_length_within_a_second_is_seen(tmp_path: Path) -> None:
    folder = project(tmp_path, pipeline="import helpers\nX = helpers.X", helpers="X = 1")
    with imported(folder, "pipeline") as module:
        assert module.X == 1
    stamp = (folder / "helpers.py").stat().st_mtime_ns

    edit(folder, "helpers.py", "X = 1", "X = 2")
    os.utime(folder / "helpers.py", ns=(stamp, stamp))

    with imported(folder, "pipeline") as module:
        assert module.X == 2


def test_bytecode_of_another_source_is_not_believed(tmp_path: Path) -> None:
    folder = project(tmp_path, pipeline="X = 1")
    sys.path.insert(0, str(folder))
    try:
        importlib.import_module("pipeline")  # leaves bytecode behind
    finally:
        sys.path.remove(str(folder))
        del sys.modules["pipeline"]
    stamp = (folder / "pipeline.py").stat().st_mtime_ns
    write(folder, "pipeline", "X = 2")
    os.utime(folder / "pipeline.py", ns=(stamp, stamp))

    with imported(folder, "pipeline") as module:
        assert module.X == 2


def test_modules_of_the_caller_come_back(tmp_path: Path) -> None:
    folder = project(tmp_path, pipeline="X = 1", tests="Y = 1")
    mine = sys.modules["tests.pipeline.projects"]

    with imported(folder, "pipeline"):
        assert "tests.pipeline.projects" not in sys.modules

    assert sys.modules["tests.pipeline.projects"] is mine


def test_a_block_within_a_block_shares_the_modules(tmp_path: Path) -> None:
    folder = project(tmp_path, pipeline="X = []")

    with imported(folder, "pipeline") as outer, imported(folder, "pipeline") as inner:
        assert outer is inner


def test_imports_inside_functions_work_in_the_block(tmp_path: Path) -> None:
    source = """
        def late():
            from lib.late import X
            return X
    """
    folder = project(tmp_path, pipeline=source, lib="", lib__late="X = 3")

    with imported(folder, "pipeline") as module:
        assert module.late() == 3


def test_a_folder_without_init_is_a_package_only_if_nobody_has_a_real_one(tmp_path: Path) -> None:
    source = "import json\nimport parts.one\nimport msgspec\nX = parts.one.X"
    folder = project(tmp_path, pipeline=source, parts__one="X = 4", msgspec__other="")

    with imported(folder, "pipeline") as module:
        assert module.X == 4
        assert hasattr(module.msgspec, "Struct")


def test_a_module_of_the_project_comes_before_pythons_as_it_does_in_python(tmp_path: Path) -> None:
    source = "import calendar\nimport os\nX = calendar.MONTHS, os.sep"
    folder = project(tmp_path, pipeline=source, calendar="MONTHS = 6", os="sep = None")
    (folder / "queue").mkdir()  # no module: not even a namespace for Python, which has a real one

    with imported(folder, "pipeline") as module:
        assert module.X == (6, "/")
        import queue

        assert hasattr(queue, "Queue")

    import calendar

    assert hasattr(calendar, "monthrange")


def test_a_missing_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as caught, imported(tmp_path, "pipeline"):
        pass

    assert caught.value.message == f"no module 'pipeline' in {tmp_path}"
    assert caught.value.hint == "cd4ml.toml names it: correct the name, or put the module there"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("X = 1\nimport nowhere", "pipeline.py:2: importing 'pipeline' failed:"
         " ModuleNotFoundError: No module named 'nowhere'"),
        ("def broken(:", "pipeline.py:1: importing 'pipeline' failed:"
         " SyntaxError: invalid syntax"),
        ("X = 1 / 0", "pipeline.py:1: importing 'pipeline' failed:"
         " ZeroDivisionError: division by zero"),
        ("import helpers", "helpers.py:3: importing 'pipeline' failed: ValueError: no"),
        ("import sys\nsys.exit(3)", "pipeline.py:2: importing 'pipeline' failed:"
         " SystemExit: 3"),
    ],
)  # fmt: skip
def test_a_failing_import_says_file_and_line(tmp_path: Path, source: str, message: str) -> None:
    folder = project(
        tmp_path, pipeline=source, helpers='def f():\n    pass\nraise ValueError("no")'
    )

    with pytest.raises(PipelineError) as caught, imported(folder, "pipeline"):
        pass

    assert caught.value.message == message


def test_a_failing_import_leaves_nothing_behind(tmp_path: Path) -> None:
    folder = project(tmp_path, pipeline="import helpers\n1 / 0", helpers="")
    before = (list(sys.path), list(sys.meta_path))

    with pytest.raises(PipelineError), imported(folder, "pipeline"):
        pass

    assert not {"pipeline", "helpers"} & set(sys.modules)
    assert (sys.path, sys.meta_path) == before
