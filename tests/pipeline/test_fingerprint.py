"""Edits of a project: no step may keep its fingerprint when its result changes, and
no step may lose it over a comment."""

from pathlib import Path
from typing import Any

import pytest

from cd4ml.pipeline.fingerprint import ReachedCode, fingerprint
from cd4ml.pipeline.module import imported
from cd4ml.pipeline.sources import Sources
from tests.pipeline.projects import edit, project, write

STEPS = (
    "plain",
    "across",
    "through_module",
    "classy",
    "decorated",
    "reexported",
    "dispatched",
    "overloaded",
    "registered",
    "dynamic",
    "lazy",
    "configured",
    "starred",
    "counted",
)
UNSEEN = frozenset({"registered", "dynamic", "counted"})

PIPELINE = '''
    """A pipeline in which every step reaches its code in another way."""

    import functools
    import json
    from pathlib import Path

    import lib.deep
    import registry
    import rules
    import stats
    from cd4ml import step
    from helpers import scale as rescale
    from lib import weigh
    from shapes import Square
    from starred import *

    FACTOR = 2  # how much
    OPERATIONS = {"double": lambda n: n * FACTOR, "negate": rescale}


    def times(number, factor=FACTOR):
        """Several times the number."""
        return number * factor


    def traced(function):
        @functools.wraps(function)
        def wrapper(number):
            return function(number) + 0
        return wrapper


    @traced
    def plus_one(number):
        return number + 1


    @functools.singledispatch
    def area(thing):
        return 0


    @area.register
    def _(thing: int):
        return thing * thing


    @step
    def plain(numbers, *, offset=0):
        """The first one."""
        return [times(n) + offset for n in numbers]


    @step
    def across(numbers):
        return [rescale(n) for n in numbers]


    @step
    def through_module(plain):
        return [stats.centre(n) + lib.deep.depth(n) for n in plain]


    @step
    def classy(numbers):
        return [Square(n).area() for n in numbers]


    @step
    def decorated(numbers):
        return [plus_one(n) for n in numbers]


    @step
    def reexported(numbers):
        return [weigh(n) for n in numbers]


    @step
    def dispatched(numbers):
        return [OPERATIONS["double"](n) + OPERATIONS["negate"](n) for n in numbers]


    @step
    def overloaded(numbers):
        return [area(n) for n in numbers]


    @step
    def registered(numbers):
        return [registry.RULES["cap"](n) for n in numbers]


    @step
    def dynamic(numbers):
        return [getattr(stats, "cen" + "tre")(n) for n in numbers]


    @step
    def lazy(numbers):
        from lib.late import later

        return [later(n) for n in numbers]


    @step
    def configured(numbers):
        shift = json.loads((Path(__file__).parent / "conf" / "settings.json").read_text())["shift"]
        return [n + shift for n in numbers]


    @step
    def starred(numbers):
        return [twinkle(n) for n in numbers]


    @step
    def counted(numbers):
        return [registry.count(n) for n in numbers]


    if __name__ == "__main__":
        print(plain([1]))
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return project(
        tmp_path,
        pipeline=PIPELINE,
        helpers="""
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
        stats="""
            MEAN = 1.5

            def centre(number):
                return number - MEAN
        """,
        lib="from .weights import weigh",
        lib__weights="""
            from . import units

            def weigh(number):
                return units.GRAMS * number
        """,
        lib__units="GRAMS = 1000",
        lib__deep="def depth(number): return number // 2",
        lib__late="def later(number): return number + 7",
        shapes="""
            class Shape:
                sides = 0

                def area(self):
                    return self.size * self.sides

            class Square(Shape):
                sides = 4

                def __init__(self, size):
                    self.size = size
        """,
        registry="""
            RULES = {}
            seen = [0]

            def rule(function):
                RULES[function.__name__] = function
                return function

            def count(number):
                seen[0] += 1
                return number
        """,
        rules="""
            import registry

            @registry.rule
            def cap(number):
                return min(number, 10)
        """,
        starred="""
            BRIGHTNESS = 5

            def twinkle(number):
                return number * BRIGHTNESS
        """,
        **{"conf/settings.json": '{"shift": 4}'},
    )


def addresses(folder: Path) -> dict[str, str]:
    code = ReachedCode(Sources(folder, "pipeline"))
    return {name: code.by("pipeline", name).address for name in STEPS}


def results(folder: Path) -> dict[str, Any]:
    with imported(folder, "pipeline") as module:
        return {name: vars(module)[name]([1, 2, 30]) for name in STEPS}


# file, what is replaced by what, the steps that have to run again (beside the ones that
# cannot be followed, which run again after any edit of code)
EDITS = {
    "constant": ("pipeline.py", "FACTOR = 2", "FACTOR = 3", {"plain", "dispatched"}),
    "step": ("pipeline.py", "times(n) + offset", "times(n) - offset", {"plain"}),
    "helper": ("pipeline.py", "return number * factor", "return number + factor", {"plain"}),
    "default": ("pipeline.py", "factor=FACTOR", "factor=5", {"plain"}),
    "alias": ("pipeline.py", "scale as rescale", "unused as rescale", {"across", "dispatched"}),
    "lambda": ("pipeline.py", "n * FACTOR,", "n + FACTOR,", {"dispatched"}),
    "decorator": ("pipeline.py", "function(number) + 0", "function(number) + 2", {"decorated"}),
    "decorated": ("pipeline.py", "return number + 1", "return number + 3", {"decorated"}),
    "undecorated": ("pipeline.py", "@traced\n", "", {"decorated"}),
    "overload": ("pipeline.py", "thing * thing", "thing * 3", {"overloaded"}),
    "fallback overload": ("pipeline.py", "return 0", "return 1", {"overloaded"}),
    "getattr's text": ("pipeline.py", '"tre"', '"tre "', set()),
    "other module": ("helpers.py", "min(_shift", "max(_shift", {"across", "dispatched"}),
    "nested call": ("helpers.py", "number - BASE", "number + BASE", {"across", "dispatched"}),
    "nested constant": ("helpers.py", "BASE = 3", "BASE = 4", {"across", "dispatched"}),
    "derived constant": ("helpers.py", "BASE * 100", "BASE * 2", {"across", "dispatched"}),
    "unused helper": ("helpers.py", "return number\n", "return number + 1\n", set()),
    "module attribute": ("stats.py", "MEAN = 1.5", "MEAN = 2.5", {"through_module"}),
    "submodule": ("lib/deep.py", "number // 2", "number // 3", {"through_module"}),
    "re-exported": ("lib/weights.py", "* number", "+ number", {"reexported"}),
    "behind re-export": ("lib/units.py", "GRAMS = 1000", "GRAMS = 1", {"reexported"}),
    "class attribute": ("shapes.py", "sides = 4", "sides = 5", {"classy"}),
    "base class": ("shapes.py", "self.size * self", "self.size + self", {"classy"}),
    "constructor": ("shapes.py", "self.size = size", "self.size = size + 1", {"classy"}),
    "registered": ("rules.py", "min(number, 10)", "min(number, 9)", set()),
    "registrar": ("registry.py", "= function\n", "= lambda n: n\n", set()),
    "lazy import": ("lib/late.py", "number + 7", "number + 8", {"lazy"}),
    "star import": ("starred.py", "BRIGHTNESS = 5", "BRIGHTNESS = 6", {"starred"}),
    "named file": ("conf/settings.json", "4", "5", {"configured"}),
    "bound again": ("stats.py", "\ndef centre", "\nMEAN = 9\n\ndef centre", {"through_module"}),
    "patched": (
        "rules.py",
        "import registry\n",
        "import registry\nimport stats\n\nstats.MEAN = 0\n",
        {"through_module"},
    ),
}

SAME = {
    "comment": ("pipeline.py", "# how much", "# how very much"),
    "comment elsewhere": ("helpers.py", "# towards zero", "# towards nought"),
    "docstring": ("pipeline.py", '"""Several times the number."""', '"""A product."""'),
    "docstring gone": ("pipeline.py", '    """The first one."""\n', ""),
    "module docstring": ("pipeline.py", '"""A pipeline in which', '"""The pipeline in which'),
    "blank lines": ("helpers.py", "def unused", "\n\n\ndef unused"),
    "parentheses": ("helpers.py", "return number - BASE", "return (\n        number - BASE\n    )"),
    "quotes": ("pipeline.py", '{"double":', "{'double':"),
}

SAME_TO_THOSE_THAT_CAN_BE_FOLLOWED = {
    "main block": ("pipeline.py", "print(plain([1]))", "print(plain([2]))"),
    "default of a parameter": ("pipeline.py", "offset=0", "offset=1"),
    "new function": ("helpers.py", "def unused", "def fresh(): ...\n\ndef unused"),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_runs_again_what_it_reaches_and_nothing_else(folder: Path, name: str) -> None:
    file, old, new, expected = EDITS[name]
    before = addresses(folder)

    edit(folder, file, old, new)

    after = addresses(folder)
    changed = {step for step in STEPS if before[step] != after[step]}
    of_all_code = UNSEEN if file.endswith(".py") else frozenset()
    assert changed == expected | of_all_code


@pytest.mark.parametrize("name", [name for name in EDITS if name != "getattr's text"])
def test_no_step_whose_result_changes_keeps_its_fingerprint(folder: Path, name: str) -> None:
    file, old, new, _ = EDITS[name]
    codes, values = addresses(folder), results(folder)

    edit(folder, file, old, new)

    new_codes, new_values = addresses(folder), results(folder)
    stale = {s for s in STEPS if codes[s] == new_codes[s] and values[s] != new_values[s]}
    assert stale == set()


@pytest.mark.parametrize("name", SAME)
def test_what_changes_no_result_runs_nothing_again(folder: Path, name: str) -> None:
    before = addresses(folder)

    edit(folder, *SAME[name])

    assert addresses(folder) == before


@pytest.mark.parametrize("name", SAME_TO_THOSE_THAT_CAN_BE_FOLLOWED)
def test_code_that_a_step_does_not_reach_is_nothing_to_it(folder: Path, name: str) -> None:
    before = addresses(folder)

    edit(folder, *SAME_TO_THOSE_THAT_CAN_BE_FOLLOWED[name])

    after = addresses(folder)
    assert {s for s in STEPS if before[s] != after[s]} == UNSEEN


def test_functions_may_change_places(folder: Path) -> None:
    before = addresses(folder)
    text = (folder / "helpers.py").read_text()
    head, shift, scale, unused = text.split("def ")

    (folder / "helpers.py").write_text(f"{head}def {unused}\ndef {scale}def {shift}")

    after = addresses(folder)
    assert {s for s in STEPS if before[s] != after[s]} == UNSEEN


def test_what_cannot_be_followed_is_named(folder: Path) -> None:
    code = ReachedCode(Sources(folder, "pipeline"))

    unseen = {name: code.by("pipeline", name).unseen for name in STEPS}

    assert {name: what for name, what in unseen.items() if what} == {
        "registered": "what changes registry.RULES",
        "dynamic": "getattr",
        "counted": "what changes registry.seen",
    }


def test_a_new_file_counts_for_what_cannot_be_followed(folder: Path) -> None:
    before = addresses(folder)

    write(folder, "more", "def rule(number): return number")

    after = addresses(folder)
    assert {s for s in STEPS if before[s] != after[s]} == UNSEEN


def test_a_step_that_does_not_stand_in_the_file_counts_with_every_file(tmp_path: Path) -> None:
    made = "from cd4ml import step\nmade = step(lambda numbers: numbers)\n"
    folder = project(tmp_path, pipeline=made)

    assert ReachedCode(Sources(folder, "pipeline")).by("pipeline", "made").unseen == (
        "where made is defined"
    )


def test_a_parameter_that_is_named_like_a_step_does_not_reach_that_step(tmp_path: Path) -> None:
    source = """
        from cd4ml import step

        @step
        def features(flights):
            return flights

        @step
        def delay(features):
            features["x"] = 1
            return [f for f in features]
    """
    folder = project(tmp_path, pipeline=source)
    before = ReachedCode(Sources(folder, "pipeline")).by("pipeline", "delay")

    edit(folder, "pipeline.py", "return flights", "return flights * 2")

    assert before == ReachedCode(Sources(folder, "pipeline")).by("pipeline", "delay")
    assert before.unseen == ""


def code_of(folder: Path, step: str = "total") -> str:
    return ReachedCode(Sources(folder, "pipeline")).by("pipeline", step).address


TOTAL = """
    from cd4ml import step
    {imports}

    @step
    def total(numbers):
        return {call}
"""


@pytest.mark.parametrize(
    ("imports", "call", "files", "edited", "old", "new"),
    [
        ("from settings import *\n    if FAST:\n        from one import f\n    else:\n"
         "        from two import f", "f(1)",
         {"settings": "FAST = True", "one": "def f(x): return 1", "two": "def f(x): return 2"},
         "settings.py", "True", "False"),
        ("try:\n        from none import f\n    except ImportError:\n        from two import f",
         "f(1)", {"two": "def f(x): return 2"}, "two.py", "return 2", "return 3"),
        ("import one as a, two as b", "a.f() + b.f() * 10",
         {"one": "def f(): return 1", "two": "def f(): return 2"},
         "pipeline.py", "one as a, two as b", "one as b, two as a"),
        ("from one import f", "f()",
         {"one": "from two import f", "two": "def f(): return g()\ndef g(): return 1"},
         "two.py", "return 1", "return 2"),
        ("import lib", "lib.sub.f()",
         {"lib": "from . import sub", "lib__sub": "def f(): return 1"},
         "lib/sub.py", "return 1", "return 2"),
        ("import one", "one.run()",
         {"one": "class A:\n    def go(self): return self.x\n    x = 1\ndef run(): return A().go()"},
         "one.py", "x = 1", "x = 2"),
        ("import one", "one.TABLE['f']()",
         {"one": "import two\nTABLE = {'g': 1}\nTABLE['f'] = two.f",
          "two": "def f(): return 1"}, "two.py", "return 1", "return 2"),
        ("import one", "one.TABLE['f']()",
         {"one": "TABLE = {'g': 1}\nimport two", "two": "import one\ndef f(): return 1\n"
          "one.TABLE['f'] = f"}, "two.py", "return 1", "return 2"),
        ("import one", "one.f()",
         {"one": "from two import Base\nclass A(Base): pass\ndef f(): return Base.made[0]()",
          "two": "class Base:\n    made = []\n    def __init_subclass__(cls):\n"
          "        Base.made.append(cls.__call__ if 0 else three)\ndef three(): return 3"},
         "two.py", "return 3", "return 4"),
        ("import one", "one.f()",
         {"one": "import functools\ndef g(x): return x\nf = functools.partial(g, 1)"},
         "one.py", "return x", "return -x"),
        ("from one import LIMIT", "[n for n in [1, 5] if n < LIMIT]",
         {"one": "LIMIT: int = max(2, 3)"}, "one.py", "3", "9"),
        ("from one import text", "text()",
         {"one": "def text():\n    'old'\n    return text.__doc__"}, "one.py", "old", "new"),
        ("from one import show", "show()",
         {"one": "import inspect\ndef show(): return inspect.getsource(show)  # one"},
         "one.py", "# one", "# two"),
    ],
)  # fmt: skip
def test_whatever_leads_to_a_result_counts(
    tmp_path: Path,
    imports: str,
    call: str,
    files: dict[str, str],
    edited: str,
    old: str,
    new: str,
) -> None:
    folder = project(tmp_path, pipeline=TOTAL.format(imports=imports, call=call), **files)

    def result() -> Any:
        with imported(folder, "pipeline") as module:
            return module.total([1])

    before, was = code_of(folder), result()
    edit(folder, edited, old, new)

    assert result() != was
    assert code_of(folder) != before


def test_modules_that_import_each_other_are_followed_once(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        pipeline=TOTAL.format(imports="from one import f, h", call="f()"),
        one="from two import f\ndef h(): return 1",
        two="from one import f, h\n",
    )
    before = code_of(folder)

    edit(folder, "one.py", "return 1", "return 2")

    assert code_of(folder) == before  # nobody defines f, and h is not called


def test_a_chain_of_calls_may_be_longer_than_the_stack(tmp_path: Path) -> None:
    chain = "\n".join(f"def f{i}(): return f{i + 1}()" for i in range(3000))
    folder = project(
        tmp_path,
        pipeline=TOTAL.format(imports="from one import f0", call="f0()"),
        one=chain + "\ndef f3000(): return 1",
    )
    before = code_of(folder)

    edit(folder, "one.py", "def f3000(): return 1", "def f3000(): return 2")

    assert code_of(folder) != before


def test_an_expression_may_be_deeper_than_the_stack(tmp_path: Path) -> None:
    folder = project(
        tmp_path,
        pipeline=TOTAL.format(imports="from one import X", call="X"),
        one="X = " + " + ".join(["1"] * 3000) + "  # one",
    )
    before = code_of(folder)

    edit(folder, "one.py", "# one", " + 1")

    assert code_of(folder) != before


def test_a_package_outside_the_project_that_is_not_installed_counts_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = project(tmp_path / "outside", ours__deep="X = 1", **{"ours/__init__.py": ""})
    monkeypatch.syspath_prepend(str(outside))
    source = TOTAL.format(imports="import ours.deep", call="ours.deep.X")
    folder = project(tmp_path / "project", pipeline=source)
    before = code_of(folder)

    edit(outside, "ours/deep.py", "X = 1", "X = 2")

    assert code_of(folder) != before


def test_a_fingerprint_covers_parameters_inputs_and_environment() -> None:
    whole = {"code": "c", "parameters": {"n": 1}, "inputs": {"x": "a"}, "environment": "e"}
    changes: list[dict[str, Any]] = [
        {"code": "d"},
        {"parameters": {"n": 2}},
        {"parameters": {"n": 1.5}},
        {"inputs": {"x": "b"}},
        {"inputs": {"y": "a"}},
        {"environment": "f"},
    ]

    found = {fingerprint(**{**whole, **change}) for change in [{}, *changes]}

    assert len(found) == 1 + len(changes)


@pytest.mark.parametrize(("text", "may"), [("parts/*.csv", True), ("parts/*.png", False)])
def test_a_file_may_appear_for_a_pattern_that_stands_in_code(
    tmp_path: Path, text: str, may: bool
) -> None:
    project(tmp_path, pipeline=f"import polars as pl\ndef s():\n    pl.scan_csv('{text}')\n")

    assert Sources(tmp_path, "pipeline").may_appear() is may
