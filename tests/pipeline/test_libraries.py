"""Libraries are loaded ahead; the project's own modules, and what is wrong with them, wait."""

from pathlib import Path

from cd4ml.pipeline.executors.pool import Workers
from cd4ml.pipeline.libraries import load_libraries
from tests.pipeline.projects import project


def loaded(name: str) -> bool:
    import sys

    return name in sys.modules


def test_only_libraries_are_loaded(tmp_path: Path) -> None:
    source = """
        import wave, no_such_library
        from own import helper
        from lib.deep import other
        import pipeline
        raise RuntimeError
    """
    folder = project(tmp_path, pipeline=source, own="helper = 1", lib__deep="other = 2")
    workers = Workers()

    workers.submit(load_libraries, folder, "pipeline").result(30)
    found = [workers.submit(loaded, name).result(30) for name in ("wave", "own", "lib", "pipeline")]

    workers.shutdown()
    assert found == [True, False, False, False]


def test_a_module_that_cannot_be_read_is_left_to_who_imports_it(tmp_path: Path) -> None:
    folder = project(tmp_path, broken="import (", pipeline="")

    load_libraries(folder, "broken")
    load_libraries(folder, "missing")


def test_a_package_is_read_where_it_begins(tmp_path: Path) -> None:
    (tmp_path / "flights").mkdir()
    (tmp_path / "flights" / "__init__.py").write_text("import wave")
    workers = Workers()

    workers.submit(load_libraries, tmp_path, "flights").result(30)
    is_loaded = workers.submit(loaded, "wave").result(30)

    workers.shutdown()
    assert is_loaded
