"""A project's modules travel with its model, are read and not run, and stay out of everybody's way."""

import importlib
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from cd4ml.errors import InvalidInput
from cd4ml.models.carried import CarriedCode
from cd4ml.models.own_code import imported_by, named_modules, own_code
from cd4ml.models.pickled import dumps

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write modules into a folder that Python looks into while the test lasts."""

    def files(**texts: str) -> Path:
        for name, text in texts.items():
            path = tmp_path / f"{name.replace('__', '/', 1)}.py"
            path.parent.mkdir(exist_ok=True)
            path.write_text(dedent(text))
        importlib.invalidate_caches()
        return tmp_path

    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield files  # type: ignore[misc]
    for name in set(sys.modules) - before:
        del sys.modules[name]


def made(module: str, name: str, *words: Any) -> bytes:
    """An instance of a class, as a step pickles it, and its module forgotten."""
    data = dumps(getattr(importlib.import_module(module), name)(*words))
    for known in [
        each for each in sys.modules if each.partition(".")[0] == module.partition(".")[0]
    ]:
        del sys.modules[known]
    return data


MEAN = """
    class Mean:
        def __init__(self, value=0):
            self.value = value

        def predict(self, rows):
            return [self.value] * len(rows)
"""


def test_it_takes_what_a_class_needs_and_nothing_else(write: Write) -> None:
    folder = write(
        means="import means_scale as scale, json\n" + dedent(MEAN),
        means_scale="def by(x):\n    from deep.inner import thing\n    return thing(x)\n",
        deep__inner="from . import beside\nfrom .beside import other\nthing = other",
        deep__beside="import numpy\nother = abs",
        deep__unused="1 / 0",
        unrelated="1 / 0",
    )

    code = own_code(made("means", "Mean"), folder)

    assert list(code.modules) == ["deep/beside.py", "deep/inner.py", "means.py", "means_scale.py"]


def test_what_no_module_of_the_project_is_in_needs_none(write: Write) -> None:
    folder = write(means=MEAN)

    assert own_code(dumps({"a": 1.5}), folder).modules == {}
    assert own_code(b"tree\nversion=v4\n", folder).modules == {}
    assert own_code(b"no pickle at all", folder).modules == {}


def test_modules_are_found_behind_numpy_and_in_every_protocol(write: Write) -> None:
    import numpy as np

    write(means=MEAN)
    Mean = importlib.import_module("means").Mean
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps([Mean(np.arange(3)), Mean(1)], protocol)
        assert {"means"} < named_modules(data) < {"means", "numpy"} | set(sys.modules), protocol


def test_a_class_of_the_program_itself_is_refused(tmp_path: Path) -> None:
    data = b"\x80\x04\x95\x16\x00\x00\x00\x00\x00\x00\x00\x8c\x08__main__\x94\x8c\x04Mean\x94\x93\x94)\x81\x94."

    with pytest.raises(InvalidInput) as refused:
        own_code(data, tmp_path)

    assert str(refused.value) == (
        "the estimator has a class or function of the program that made it, its __main__\n"
        "  hint: put it into a module of the project, and import it there"
    )


def test_a_module_that_is_no_python_is_refused(write: Write) -> None:
    folder = write(means=MEAN)
    data = made("means", "Mean")
    write(means="def (")

    with pytest.raises(InvalidInput) as refused:
        own_code(data, folder)

    assert refused.value.message == "means.py:1: invalid syntax"


def test_two_modules_of_one_name_answer_side_by_side(write: Write) -> None:
    folder = write(means=MEAN)
    first_data = made("means", "Mean", 2)
    first = CarriedCode(own_code(first_data, folder).modules)
    write(means=dedent(MEAN).replace("[self.value]", "[-self.value]"))
    second = CarriedCode(own_code(first_data, folder).modules)

    one, other = first.unpickle(first_data), second.unpickle(first_data)

    assert (one.predict([1]), other.predict([1])) == ([2], [-2])
    assert type(one).__module__.startswith("_carried_")
    assert type(one) is not type(other)
    assert "means" not in sys.modules


def test_the_same_code_is_imported_once(write: Write) -> None:
    folder = write(means=MEAN)
    data = made("means", "Mean", 2)
    modules = own_code(data, folder).modules

    one, other = (CarriedCode(dict(modules)).unpickle(data) for _ in range(2))

    assert type(one) is type(other)


def test_what_its_code_imports_later_is_its_own(write: Write) -> None:
    folder = write(
        means="""
            from dataclasses import dataclass

            @dataclass
            class Mean:
                value: "float"

                def predict(self, rows):
                    import deep.inner
                    from deep import inner as again
                    assert again is deep.inner
                    return [deep.inner.thing(self.value)] * len(rows)
        """,
        deep__inner="import math\nthing = math.floor",
    )
    data = made("means", "Mean", 2.5)
    carried = CarriedCode(own_code(data, folder).modules)
    write(deep__inner="1 / 0")

    answered = carried.unpickle(data).predict([1, 2])

    assert answered == [2, 2]
    assert not {"means", "deep", "deep.inner"} & set(sys.modules)


def test_it_can_be_pickled_again_where_it_is_loaded(write: Write) -> None:
    folder = write(means=MEAN)
    data = made("means", "Mean", 3)
    loaded = CarriedCode(own_code(data, folder).modules).unpickle(data)

    assert pickle.loads(pickle.dumps(loaded)).predict([1]) == [3]  # noqa: S301 - our own


def test_an_error_in_it_says_in_which_file_it_is(write: Write) -> None:
    folder = write(means=dedent(MEAN).replace("self.value] *", "self.gone] *"))
    data = made("means", "Mean", 3)
    loaded = CarriedCode(own_code(data, folder).modules).unpickle(data)

    with pytest.raises(AttributeError) as raised:
        loaded.predict([1])

    assert raised.traceback[-1].frame.code.raw.co_filename == "means.py of a model"


def test_imports_are_read_without_being_done() -> None:
    text = "import a.b, c\nfrom . import d\nfrom .e import f\nfrom ..g import h\n"

    assert imported_by(text, "x/y/z.py") == [
        *("a.b", "c"),
        *("x.y", "x.y.d"),
        *("x.y.e", "x.y.e.f"),
        *("x.g", "x.g.h"),
    ]
