from typing import Any

import pytest

from cd4ml.errors import InvalidInput, PipelineError
from cd4ml.pipeline.graph import Parameter, StepDeclaration
from cd4ml.pipeline.parameters import values_of


def delay(*parameters: Parameter) -> tuple[StepDeclaration, ...]:
    return (
        StepDeclaration(
            name="delay",
            module="pipeline",
            function="delay",
            where="pipeline.py:7",
            parameters=parameters,
        ),
    )


RATE = Parameter("rate", "float", 0.1)
ITERATIONS = Parameter("max_iter", "int", 200)


def value(parameter: Parameter, wanted: Any) -> Any:
    steps = delay(parameter)
    return values_of(steps, {f"delay.{parameter.name}": wanted}, steps)[f"delay.{parameter.name}"]


def test_parameters_have_their_defaults_unless_a_run_wants_others() -> None:
    steps = delay(RATE, ITERATIONS)

    assert values_of(steps, {"delay.max_iter": 300}, steps) == {
        "delay.rate": 0.1,
        "delay.max_iter": 300,
    }


def test_a_whole_number_is_a_float_where_one_is_declared() -> None:
    found = value(RATE, 1)

    assert (found, type(found)) == (1.0, float)


@pytest.mark.parametrize(
    ("parameter", "given", "expected"),
    [
        (Parameter("names", "tuple[str, ...]", ["a"]), ["b"], ("b",)),
        (Parameter("names", "Sequence[str]", ["a"]), ["b"], ["b"]),
        (Parameter("depth", "int | None", None), None, None),
        (Parameter("depth", "Optional[int]", None), 3, 3),
        (Parameter("kind", "typing.Literal['a', 'b']", "a"), "b", "b"),
        (Parameter("options", "dict[str, float]", {}), {"x": 1}, {"x": 1.0}),
        (Parameter("free", "", None), {"any": ["thing"]}, {"any": ["thing"]}),
        (Parameter("own", "MyEnum", "a"), "b", "b"),
    ],
)
def test_values_are_converted_to_the_declared_type(
    parameter: Parameter, given: Any, expected: Any
) -> None:
    assert value(parameter, given) == expected


def test_an_unknown_name_gets_the_known_ones() -> None:
    steps = delay(RATE, ITERATIONS)

    with pytest.raises(InvalidInput) as caught:
        values_of(steps, {"delay.max_iters": 300}, steps)

    assert str(caught.value) == (
        "no parameter named 'delay.max_iters'\n  hint: known: delay.max_iter, delay.rate"
    )


@pytest.mark.parametrize(
    ("parameter", "given", "message", "hint"),
    [
        (ITERATIONS, "many", "parameter 'delay.max_iter': expected `int`, got `str`",
         "it is declared as max_iter: int = 200"),
        (ITERATIONS, 1.5, "parameter 'delay.max_iter': expected `int`, got `float`",
         "it is declared as max_iter: int = 200"),
        (Parameter("free", "", "a"), 3, "parameter 'delay.free': expected `str`, got `int`",
         "it is declared as free: Any = 'a'; as text it is written --set 'delay.free=\"3\"'"),
        (Parameter("kind", "str", "a"), [True],
         "parameter 'delay.kind': expected `str`, got `array`",
         "it is declared as kind: str = 'a'; as text it is written --set 'delay.kind=\"[true]\"'"),
        (Parameter("bins", "list[int]", [1]), "1, 2",
         "parameter 'delay.bins': expected `array`, got `str`",
         "it is declared as bins: list[int] = [1]; it is written --set 'delay.bins=[1, 2]'"),
        (Parameter("tags", "list", []), "a,b", "parameter 'delay.tags': expected `array`, got `str`",
         "it is declared as tags: list = []; it is written --set 'delay.tags=[\"a\", \"b\"]'"),
        (Parameter("most", "int | None", None), "None",
         "parameter 'delay.most': expected `int | null`, got `str`",
         "it is declared as most: int | None = None; it is written --set 'delay.most=null'"),
        (Parameter("deep", "bool", False), "True", "parameter 'delay.deep': expected `bool`, got `str`",
         "it is declared as deep: bool = False; it is written --set 'delay.deep=true'"),
        (RATE, float("inf"), "parameter 'delay.rate': expected a finite number, got inf",
         "it is declared as rate: float = 0.1"),
        (Parameter("free", "list[float]", []), [1.0, float("inf")],
         "parameter 'delay.free': expected a finite number, got inf - at `[1]`",
         "it is declared as free: list[float] = []"),
        (Parameter("kind", "Literal['a', 'b']", "a"), "c",
         "parameter 'delay.kind': invalid enum value 'c'",
         "it is declared as kind: Literal['a', 'b'] = 'a'"),
    ],
)  # fmt: skip
def test_a_value_of_the_wrong_type_is_refused(
    parameter: Parameter, given: Any, message: str, hint: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        value(parameter, given)

    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_required_parameter_has_to_be_given() -> None:
    steps = delay(Parameter("rate", "int", is_required=True))

    with pytest.raises(PipelineError) as caught:
        values_of(steps, {}, steps)

    assert str(caught.value) == (
        "pipeline.py:7: the parameter 'delay.rate' has no default and was not given\n"
        "  hint: give it with --set delay.rate=VALUE, or declare a default"
    )
    assert values_of(steps, {"delay.rate": 0}, steps) == {"delay.rate": 0}


def test_a_known_parameter_of_a_step_that_does_not_run_is_no_mistake() -> None:
    assert values_of((), {"delay.rate": 0.2}, delay(RATE)) == {}


def test_a_seed_that_is_asked_for_is_the_projects() -> None:
    steps = delay(Parameter("seed", "int", is_required=True))

    assert values_of(steps, {}, steps, seed=7) == {"delay.seed": 7}
    assert values_of(steps, {"delay.seed": 3}, steps, seed=7) == {"delay.seed": 3}


def test_a_seed_with_a_default_is_a_parameter_like_others() -> None:
    steps = delay(Parameter("seed", "int", default=1))

    assert values_of(steps, {}, steps, seed=7) == {"delay.seed": 1}
