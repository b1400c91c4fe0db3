"""Some fifty edits of one project, each run for real: no stale result, and no needless run.

Every step reaches its code in another way. After an edit the project runs on the cache of the
run before, and what comes out is compared with what its functions give when they are called
afresh. The steps that ran again have to be those that the edit could have changed.
"""

import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

from cd4ml.pipeline.module import imported
from cd4ml.pipeline.run import DatasetInput, Pipeline, run_pipeline
from cd4ml.records.run import StepRun
from cd4ml.store import rows
from cd4ml.store.address import address_of
from cd4ml.store.blobs import open_blobs
from cd4ml.store.clock import SimulatedClock
from cd4ml.store.database import open_database
from tests.pipeline.projects import edit, project, write

NUMBERS = pl.DataFrame({"n": [1, 2, 30]})

PIPELINE = '''
    """A pipeline in which every step reaches its code in another way."""

    import functools
    import importlib
    import json
    import os
    from pathlib import Path

    import lib.deep
    import polars as pl
    import registry
    import rules
    import stats as numbers_of
    from cd4ml import step
    from contexts import scaled
    from helpers import scale as rescale
    from lib import weigh
    from meta import Measured
    from shapes import Square
    from starred import *

    try:
        from fast import product
    except ImportError:
        from slow import product

    HERE = Path(__file__).parent
    FACTOR = 2  # how much
    add_two = functools.partial(lambda a, b: a + b, 2)
    negate = lambda n: -n


    def times(number, factor=FACTOR):
        """Several times the number."""
        return number * factor


    def never(number):
        return number


    def traced(function):
        @functools.wraps(function)
        def wrapper(number):
            return function(number) + 0
        return wrapper


    @traced
    def plus_one(number: int) -> int:
        return number + 1


    @functools.singledispatch
    def area(thing):
        return 0


    @area.register
    def _(thing: int):
        return thing * thing


    def all_of(frame):
        return frame["n"].to_list()


    @step
    def plain(numbers: pl.DataFrame, *, offset: int = 0) -> list:
        """The first one."""
        return [times(n) + offset for n in all_of(numbers)]


    @step
    def after_plain(plain: list) -> int:
        return sum(plain)


    @step
    def across(numbers) -> list:
        return [rescale(n) for n in all_of(numbers)]


    @step
    def aliased(numbers) -> list:
        return [numbers_of.centre(n) + lib.deep.depth(n) for n in all_of(numbers)]


    @step
    def classy(numbers) -> list:
        return [Square(n).area() + Square(n).double for n in all_of(numbers)]


    @step
    def measured(numbers) -> list:
        return [Measured.unit * n for n in all_of(numbers)]


    @step
    def decorated(numbers) -> list:
        return [plus_one(n) for n in all_of(numbers)]


    @step
    def reexported(numbers) -> list:
        return [weigh(n) for n in all_of(numbers)]


    @step
    def partially(numbers) -> list:
        return [add_two(n) for n in all_of(numbers)]


    @step
    def negated(numbers) -> list:
        return [negate(n) for n in all_of(numbers)]


    @step
    def overloaded(numbers) -> list:
        return [area(n) for n in all_of(numbers)]


    @step
    def registered(numbers) -> list:
        return [registry.RULES["cap"](n) for n in all_of(numbers)]


    @step
    def dynamic(numbers) -> list:
        return [getattr(numbers_of, "cen" + "tre")(n) for n in all_of(numbers)]


    @step
    def by_name(numbers) -> list:
        return [importlib.import_module("named").f(n) for n in all_of(numbers)]


    @step
    def within(numbers) -> list:
        with scaled(3) as factor:
            return [n * factor for n in all_of(numbers)]


    @step
    def conditional(numbers) -> list:
        return [product(n, n) for n in all_of(numbers)]


    @step
    def lazy(numbers) -> list:
        from lib.late import later

        return [later(n) for n in all_of(numbers)]


    @step
    def starred(numbers) -> list:
        return [twinkle(n) for n in all_of(numbers)]


    @step
    def configured(numbers) -> list:
        shift = json.loads((HERE / "conf" / "settings.json").read_text())["shift"]
        return [n + shift for n in all_of(numbers)]


    @step
    def queried(numbers) -> str:
        return (HERE / "query.sql").read_text().strip()


    @step
    def made_up(numbers) -> list:
        kind = "east" if len(all_of(numbers)) > 2 else "west"
        return json.loads((HERE / f"regions/{kind}.json").read_text())


    @step
    def listed(numbers) -> list:
        return sorted(path.name for path in (HERE / "parts").iterdir())


    @step
    def surrounded(numbers) -> str:
        return os.environ.get("CD4ML_TEST_REGION", "nowhere")


    if __name__ == "__main__":
        print(plain([1]))
'''

FILES = {
    "helpers": """
        BASE = 3
        LIMIT = BASE * 100

        def _shift(number):
            return number - BASE

        def scale(number):
            # towards zero
            return min(_shift(number), LIMIT)

        def unused(number):
            return number
    """,
    "stats": "MEAN = 1.5\n\ndef centre(number):\n    return number - MEAN\n",
    "lib": "from .weights import weigh\n",
    "lib__weights": "from . import units\n\ndef weigh(number):\n    return units.GRAMS * number\n",
    "lib__units": "GRAMS = 1000\n",
    "lib__deep": "def depth(number):\n    return number // 2\n",
    "lib__late": "def later(number):\n    return number + 7\n",
    "shapes": """
        class Shape:
            sides = 0

            def area(self):
                return self.size * self.sides

            def unused(self):
                return None

        class Square(Shape):
            sides = 4

            def __init__(self, size):
                self.size = size

            @property
            def double(self):
                return 2 * self.size
    """,
    "meta": """
        class Meta(type):
            @property
            def unit(cls):
                return cls.base * 10

        class Measured(metaclass=Meta):
            base = 1
    """,
    "contexts": """
        from contextlib import contextmanager

        @contextmanager
        def scaled(factor):
            yield factor * 2
    """,
    "slow": "def product(a, b):\n    return a * b\n",
    "named": "def f(number):\n    return number * 11\n",
    "registry": """
        RULES = {}

        def rule(function):
            RULES[function.__name__] = function
            return function
    """,
    "rules": "import registry\n\n@registry.rule\ndef cap(number):\n    return min(number, 10)\n",
    "starred": "BRIGHTNESS = 5\n\ndef twinkle(number):\n    return number * BRIGHTNESS\n",
    "conf/settings.json": '{"shift": 4}',
    "query.sql": "select 1",
    "regions/east.json": "[1]",
    "regions/west.json": "[2]",
    "parts/a.csv": "x",
    "parts/b.csv": "y",
    "notes.md": "words",
}

ALL = re.findall(r"@step\n +def (\w+)", PIPELINE)
UNSEEN = {"registered", "dynamic", "by_name", "measured"}  # they run again after any edit of code


class Edit(NamedTuple):
    """What is done, the steps whose code that could be, and whether it is to their code."""

    do: Callable[[Path], object]
    reaches: set[str] | frozenset[str] = frozenset()
    is_code: bool = True

    @property
    def expected(self) -> set[str]:
        """The steps that run again."""
        return self.reaches | (UNSEEN if self.is_code else set())


def change(file: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda folder: edit(folder, file, old, new)


def code(file: str, old: str, new: str, *reaches: str) -> Edit:
    return Edit(change(file, old, new), set(reaches))


def same(file: str, old: str, new: str) -> Edit:
    return Edit(change(file, old, new), is_code=False)


def moved(folder: Path) -> None:
    (folder / "lib/late.py").rename(folder / "later.py")
    edit(folder, "pipeline.py", "from lib.late import later", "from later import later")


def reordered(folder: Path) -> None:
    head, shift, scale, unused = (folder / "helpers.py").read_text().split("def ")
    (folder / "helpers.py").write_text(f"{head}def {unused}\ndef {scale}def {shift}")


EDITS = {
    # what changes a result
    "constant": code("pipeline.py", "FACTOR = 2", "FACTOR = 3", "plain", "after_plain"),
    "step": code("pipeline.py", "times(n) + offset", "times(n) - offset - 1", "plain", "after_plain"),
    "helper": code("pipeline.py", "number * factor", "number + factor", "plain", "after_plain"),
    "default argument": code("pipeline.py", "factor=FACTOR", "factor=5", "plain", "after_plain"),
    "step's parameter": Edit(change("pipeline.py", "offset: int = 0", "offset: int = 1"),
                             {"plain", "after_plain"}),
    "import alias": code("pipeline.py", "scale as rescale", "unused as rescale", "across"),
    "module alias": code("pipeline.py", "import stats as numbers_of", "import other as numbers_of", "aliased"),
    "nested call": code("helpers.py", "number - BASE", "number + BASE", "across"),
    "constant elsewhere": code("helpers.py", "BASE = 3", "BASE = 4", "across"),
    "constant from constant": code("helpers.py", "BASE * 100", "BASE * 2", "across"),
    "lambda": code("pipeline.py", "lambda n: -n", "lambda n: -2 * n", "negated"),
    "partial": code("pipeline.py", "a + b, 2)", "a + b, 3)", "partially"),
    "decorator": code("pipeline.py", "function(number) + 0", "function(number) + 2", "decorated"),
    "decorated": code("pipeline.py", "return number + 1", "return number + 3", "decorated"),
    "undecorated": code("pipeline.py", "@traced\n", "", "decorated"),
    "overload": code("pipeline.py", "thing * thing", "thing * 3", "overloaded"),
    "dispatch on a type": code("pipeline.py", "thing: int)", "thing: str)", "overloaded"),
    "class attribute": code("shapes.py", "sides = 4", "sides = 5", "classy"),
    "inherited method": code("shapes.py", "self.size * self.sides", "self.size + self.sides", "classy"),
    "property": code("shapes.py", "2 * self.size", "3 * self.size", "classy"),
    "method override": code("shapes.py", "    @property\n", "    def area(self):\n        return 1\n\n    @property\n", "classy"),
    "base class": code("shapes.py", "class Square(Shape)", "class Square(Round)", "classy"),
    "metaclass": code("meta.py", "cls.base * 10", "cls.base * 20"),
    "context manager": code("contexts.py", "factor * 2", "factor * 4", "within"),
    "conditional import": Edit(lambda folder: write(folder, "fast", "def product(a, b):\n    return 0\n"),
                               {"conditional"}),
    "import of the other": code("slow.py", "a * b", "a + b", "conditional"),
    "package's __init__": code("lib/__init__.py", "import weigh", "import weigh\nweigh = lambda n: n", "reexported"),
    "relative import": code("lib/weights.py", "from . import units", "from . import metric as units", "reexported"),
    "re-exported": code("lib/weights.py", "units.GRAMS * number", "units.GRAMS + number", "reexported"),
    "deep constant": code("lib/units.py", "1000", "2000", "reexported"),
    "submodule": code("lib/deep.py", "// 2", "// 3", "aliased"),
    "lazy import": code("lib/late.py", "number + 7", "number + 8", "lazy"),
    "moved file": Edit(moved, {"lazy"}),
    "star import": code("starred.py", "BRIGHTNESS = 5", "BRIGHTNESS = 6", "starred"),
    "global filled elsewhere": code("rules.py", "min(number, 10)", "min(number, 20)"),
    "string-named module": code("named.py", "* 11", "* 12"),
    "getattr": code("stats.py", "number - MEAN", "number + MEAN", "aliased"),
    "bound again": code("stats.py", "\ndef centre", "\nMEAN = 9\n\ndef centre", "aliased"),
    "patched from elsewhere": code("rules.py", "import registry\n", "import registry\nimport helpers\n\nhelpers.BASE = 0\n", "across"),
    "annotation that decides storage": code("pipeline.py", "def after_plain(plain: list) -> int", "def after_plain(plain: list) -> float", "after_plain"),
    "data file": Edit(change("conf/settings.json", "4", "5"), {"configured"}, is_code=False),
    "query file": Edit(change("query.sql", "1", "2"), {"queried"}, is_code=False),
    "file of a made-up name": Edit(change("regions/east.json", "1", "3"), {"made_up"}, is_code=False),
    "new file in a listed folder": Edit(lambda folder: write(folder, "parts/c.csv", "z"), {"listed"}, is_code=False),
    "file gone from a listed folder": Edit(lambda folder: (folder / "parts/a.csv").unlink(), {"listed"}, is_code=False),
    "environment variable": Edit(lambda _: os.environ.update(CD4ML_TEST_REGION="east"), {"surrounded"}, is_code=False),
    # what changes none
    "comment": same("pipeline.py", "# how much", "# how very much"),
    "comment elsewhere": same("helpers.py", "# towards zero", "# towards nought"),
    "docstring": same("pipeline.py", '"""Several times the number."""', '"""A product."""'),
    "docstring gone": same("pipeline.py", '    """The first one."""\n', ""),
    "module's docstring": same("pipeline.py", '"""A pipeline in which', '"""The pipeline in which'),
    "blank lines": same("helpers.py", "def unused", "\n\n\ndef unused"),
    "parentheses": same("helpers.py", "return number - BASE", "return (\n        number - BASE\n    )"),
    "quotes": same("pipeline.py", '"east" if', "'east' if"),
    "a file that nobody reads": same("notes.md", "words", "other words"),
    "main block": code("pipeline.py", "print(plain([1]))", "print(plain([2]))"),
    "unused function": code("pipeline.py", "def never(number):\n    return number\n", ""),
    "unused function elsewhere": code("helpers.py", "def unused(number):\n    return number\n", ""),
    "new function": code("helpers.py", "def unused", "def fresh(): ...\n\ndef unused"),
    "unused import": code("helpers.py", "BASE = 3", "import math\nBASE = 3"),
    "order of functions": Edit(reordered),
    "same bytes, another time": Edit(lambda folder: os.utime(folder / "pipeline.py", (1, 1)), is_code=False),
}  # fmt: skip

# what follows it by its form, though it changes no result: it runs once too often
HARMLESS_BUT_SEEN = {
    "type hint": code("pipeline.py", "def plus_one(number: int) -> int", "def plus_one(number: float) -> float", "decorated"),
    "local name": code("pipeline.py", "return function(number) + 0", "return 0 + function(number)", "decorated"),
    "unused method": code("shapes.py", "return None", "return 1", "classy"),
}  # fmt: skip
CASES = EDITS | HARMLESS_BUT_SEEN


class Ran(NamedTuple):
    """The steps that were computed, and what each step gave."""

    computed: set[str]
    values: dict[str, Any]


def run(place: Path) -> Ran:
    folder = place / "project"
    blobs = open_blobs(str(place / "blobs"))
    database = open_database(f"sqlite:///{place}/cd4ml.db")
    run = run_pipeline(
        Pipeline(folder, "pipeline", state=place / "state", datasets=["numbers"]),
        database=database,
        blobs=blobs,
        clock=SimulatedClock(datetime(2013, 1, 1, tzinfo=UTC)),
        actor="ada",
        datasets={"numbers": DatasetInput("numbers@1", address_of(b"n"), NUMBERS.lazy)},
        experiment="mutations",
    )
    with database.read() as connection:
        steps = rows.find(connection, StepRun, run=run.number)
    database.close()
    computed = {each.step for each in steps if each.state == "computed"}
    return Ran(computed, {each.step: blobs.get(each.output) for each in steps})


def truth(place: Path) -> dict[str, Any]:
    """What the functions give when they are called afresh, as JSON holds it."""
    import json

    given: dict[str, Any] = {"numbers": NUMBERS}
    with imported(place / "project", "pipeline") as module:
        from cd4ml.pipeline.graph import declared_in

        for step in declared_in(module, place / "project"):
            arguments = [given[name] for name in step.needs]
            given[step.name] = vars(module)[step.name](*arguments)
    return {name: json.dumps(value).encode() for name, value in given.items() if name != "numbers"}


@pytest.fixture(scope="module")
def ran_before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("mutations")
    files = {**FILES, "other": "def centre(number):\n    return number * 2\n"}
    files["lib__metric"] = "GRAMS = 1\n"
    project(place / "project", pipeline=PIPELINE, **files)
    edit(place / "project", "shapes.py", "class Square(Shape)",
         "class Round(Shape):\n    def area(self):\n        return 3\n\nclass Square(Shape)")  # fmt: skip
    first = run(place)
    assert first.values == truth(place)
    assert run(place).computed == set()
    return place


@pytest.fixture
def place(ran_before: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CD4ML_TEST_REGION", "nowhere")
    monkeypatch.delenv("CD4ML_TEST_REGION")
    return Path(shutil.copytree(ran_before, tmp_path / "place"))


@pytest.mark.parametrize("name", CASES)
def test_an_edit_gives_no_stale_result_and_no_needless_run(place: Path, name: str) -> None:
    CASES[name].do(place / "project")

    ran = run(place)

    assert ran.values == truth(place)
    assert ran.computed == CASES[name].expected


def test_undoing_an_edit_computes_nothing(place: Path) -> None:
    edit(place / "project", "pipeline.py", "FACTOR = 2", "FACTOR = 3")
    run(place)
    edit(place / "project", "pipeline.py", "FACTOR = 3", "FACTOR = 2")

    assert run(place).computed == set()


def test_an_edit_whose_result_is_the_same_stops_there(place: Path) -> None:
    edit(place / "project", "pipeline.py", "times(n) + offset", "offset + times(n)")

    assert run(place).computed == {"plain"} | UNSEEN
