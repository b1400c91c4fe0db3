from collections.abc import Collection
from pathlib import Path

import pytest

from cd4ml.errors import InvalidInput, PipelineError
from cd4ml.pipeline.graph import Graph, Input, Parameter, build, declared_in
from cd4ml.pipeline.module import imported
from tests.pipeline.projects import project


def graph(folder: Path, source: str, datasets: Collection[str] = ("flights",)) -> Graph:
    header = "from cd4ml import Metrics, Model, command, step\n"
    written = header + "\n".join(line.removeprefix(" " * 8) for line in source.splitlines()[1:])
    project(folder, pipeline=written)
    with imported(folder, "pipeline") as module:
        return build(declared_in(module, folder), datasets)


def refused(folder: Path, source: str, datasets: Collection[str] = ("flights",)) -> str:
    with pytest.raises(PipelineError) as caught:
        graph(folder, source, datasets)
    return caught.value.message


def test_steps_come_after_what_they_need(tmp_path: Path) -> None:
    found = graph(tmp_path, """
        @step
        def evaluation(delay, features): ...
        @step
        def delay(features): ...
        @step
        def features(flights): ...
        """)  # fmt: skip

    assert found.names == ("features", "delay", "evaluation")
    assert [step.where for step in found.steps] == [
        "pipeline.py:6", "pipeline.py:4", "pipeline.py:2",
    ]  # fmt: skip


def test_only_what_the_targets_need_runs(tmp_path: Path) -> None:
    found = graph(tmp_path, """
        @step
        def features(flights): ...
        @step
        def delay(features): ...
        @step
        def summary(flights): ...
        """)  # fmt: skip

    assert [step.name for step in found.needed_for(["delay"])] == ["features", "delay"]
    assert [step.name for step in found.needed_for([])] == ["features", "delay", "summary"]
    with pytest.raises(InvalidInput) as caught:
        found.needed_for(["dely"])
    assert str(caught.value) == ("no step named 'dely'\n  hint: known: features, delay, summary")


def test_a_declaration_has_hints_defaults_and_what_is_required(tmp_path: Path) -> None:
    (declared,) = graph(tmp_path, """
        import polars as pl
        @step
        def delay(
            flights: pl.LazyFrame, *, rate: float = 0.1, names: tuple[str, ...] = ("a",),
            depth: "int | None" = None, seed: int, free=1,
        ) -> Model: ...
        """).steps  # fmt: skip

    assert declared.inputs == (Input("flights", "LazyFrame"),)
    assert declared.output == "Model"
    assert declared.parameters == (
        Parameter("rate", "float", 0.1),
        Parameter("names", "tuple[str, ...]", ["a"]),
        Parameter("depth", "int | None", None),
        Parameter("seed", "int", None, True),
        Parameter("free", "", 1),
    )


def test_hints_may_be_text(tmp_path: Path) -> None:
    project(
        tmp_path,
        pipeline="""
            from __future__ import annotations
            from cd4ml import Metrics, step

            @step
            def evaluation(flights: pl.DataFrame) -> Metrics: ...
        """,
    )

    with imported(tmp_path, "pipeline") as module:
        (declared,) = declared_in(module, tmp_path)

    assert (declared.inputs[0].hint, declared.output) == ("DataFrame", "Metrics")


def test_steps_of_other_modules_count_where_they_are_imported(tmp_path: Path) -> None:
    project(
        tmp_path,
        pipeline="from features import features as f\n",
        features="from cd4ml import step\n@step\ndef features(flights): ...\n",
    )

    with imported(tmp_path, "pipeline") as module:
        (declared,) = declared_in(module, tmp_path)

    assert (declared.name, declared.module, declared.where) == (
        "features", "features", "features.py:2",
    )  # fmt: skip


def test_a_step_that_hides_an_imported_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("from cd4ml import step\n@step\ndef a() -> int: ...\n")

    message = refused(
        tmp_path,
        """
        from other import a
        @step
        def a(flights): ...
        """,
    )

    assert message == (
        "pipeline.py:3: step 'a' is declared in other.py:2 too; give one of them another name"
    )


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("""
        @step
        def delay(featurs): ...
        @step
        def features(flights): ...
        """, "pipeline.py:2: step 'delay' needs 'featurs', which is neither a step nor a dataset"
         " (did you mean 'features'?)"),
        ("""
        @step
        def delay(zzz): ...
        """, "pipeline.py:2: step 'delay' needs 'zzz', which is neither a step nor a dataset"
         " (known: delay, flights)"),
        ("""
        @step
        def flights(): ...
        """, "pipeline.py:2: 'flights' is a step and a dataset"),
        ("""
        @step
        def a(c): ...
        @step
        def b(a): ...
        @step
        def c(b, flights): ...
        """, "pipeline.py:2: steps need each other in a circle: a needs c needs b needs a"),
        ("""
        @step
        def a(a): ...
        """, "pipeline.py:2: steps need each other in a circle: a needs a"),
        ("""
        @step
        def a(*inputs): ...
        """, "pipeline.py:2: step 'a' takes *inputs; name each input and parameter"),
        ("""
        @step
        def a(flights, **options): ...
        """, "pipeline.py:2: step 'a' takes **options; name each input and parameter"),
        ("""
        @step
        def a(flights, rate=0.1): ...
        """, "pipeline.py:2: step 'a' gives its input 'rate' a default; inputs have none, and"
         " parameters stand behind a *"),
        ("""
        @step
        def a(flights, *, kind=object): ...
        """, "pipeline.py:2: step 'a' has a default for 'kind' that JSON cannot hold: type"),
        ("""
        @step
        def a(flights, *, limit=float("nan")): ...
        """, "pipeline.py:2: step 'a' has a default for 'limit' that JSON cannot hold: float"),
        ("""
        @step
        async def a(flights): ...
        """, "pipeline.py:2: step 'a' is asynchronous or a generator; return the whole output"),
        ("""
        @step
        def a(flights): yield 1
        """, "pipeline.py:2: step 'a' is asynchronous or a generator; return the whole output"),
        ("""
        a = step(lambda flights: 1)
        """, "pipeline.py:2: step '<lambda>' has no name that other steps could use; define it"
         " with def"),
        ("""
        def make():
            @step
            def a(flights): ...
            return a
        one, two = make(), make()
        """, "pipeline.py:3: 'a' is declared in pipeline.py:3 too"),
        ("""
        @step
        def a(flights): ...
        @step
        def b(a): ...
        @step
        def a(flights): return 1
        """, "pipeline.py:6: step 'a' is declared in pipeline.py:2 too; give one of them another"
         " name"),
        ("""
        a = command("cat", output="json")
        @step
        def a(flights): ...
        """, "pipeline.py:3: step 'a' is declared in pipeline.py:2 too; give one of them another"
         " name"),
        ("""
        if True:
            @step
            def a(flights): ...
        else:
            @step
            def a(): ...
        a = step(cache=False)(a.function)
        c(flights)
        """, "pipeline.py:9: importing 'pipeline' failed: NameError: name 'c' is not defined"),
        ("""
        """, "the pipeline's module declares no step"),
    ],
)  # fmt: skip
def test_a_graph_that_cannot_be_built_says_where(tmp_path: Path, source: str, message: str) -> None:
    assert refused(tmp_path, source) == message


def test_several_mistakes_come_together(tmp_path: Path) -> None:
    source = "".join(
        f"\n        @step\n        def s{i}(missing{i}, known): ..." for i in range(12)
    )

    message = refused(tmp_path, source + "\n        ", ["known"])

    lines = message.splitlines()
    assert lines[0] == "the pipeline has 12 mistakes"
    assert lines[1].startswith("  - pipeline.py:2: step 's0' needs 'missing0'")
    assert lines[-1] == "  ... and 2 more"
    assert len(lines) == 12


@pytest.mark.parametrize(
    ("hint", "what"),
    [
        ("set", "set"),
        ("set[int]", "set[int]"),
        ("'frozenset[str]'", "frozenset[str]"),
        ("bytes", "bytes"),
        ("Iterator[int]", "collections.abc.Iterator[int]"),
        ("Callable[[], int]", "collections.abc.Callable[[], int]"),
        ("list | bytes", "bytes"),
        ("pl.Series", "polars.series.series.Series"),
        ("date", "datetime.date"),
        ("Row", "graphs_wrong_output.Row"),
    ],
)
def test_an_output_that_cannot_be_stored_is_said_before_anything_runs(
    tmp_path: Path, hint: str, what: str
) -> None:
    source = f"""
        from collections.abc import Callable, Iterator
        from dataclasses import dataclass
        from datetime import date
        import polars as pl
        from cd4ml import step

        @dataclass
        class Row:
            number: int

        @step
        def made() -> {hint}: ...
    """
    folder = project(tmp_path, graphs_wrong_output=source)

    refuses = pytest.raises(PipelineError)
    with imported(folder, "graphs_wrong_output") as module, refuses as caught:
        declared_in(module, folder)

    assert caught.value.message == (
        f"graphs_wrong_output.py:12: step 'made' returns {what}, which cannot be stored (return a"
        " polars DataFrame, a numpy array, a fitted estimator, metrics, a Path, or plain data)"
    )


@pytest.mark.parametrize(
    "hint",
    ["None", "int | None", "dict[str, list[float]]", "tuple[int, str]", "Any", "Model", "Metrics",
     "pl.DataFrame", "pl.LazyFrame", "np.ndarray", "Path", "Ridge", "'Unknown'", "object",
     "TypedDict('T', {'a': int})", "Mapping[str, int]", "Sequence[int]"],
)  # fmt: skip
def test_an_output_that_may_be_stored_is_let_through(tmp_path: Path, hint: str) -> None:
    source = f"""
        from collections.abc import Mapping, Sequence
        from pathlib import Path
        from typing import Any, TypedDict
        import numpy as np
        import polars as pl
        from sklearn.linear_model import Ridge
        from cd4ml import Metrics, Model, step

        @step
        def made() -> {hint}: ...
    """
    folder = project(tmp_path, graphs_right_output=source)

    with imported(folder, "graphs_right_output") as module:
        assert [step.name for step in declared_in(module, folder)] == ["made"]
