"""The values of the parameters: as declared, or as a run wants them."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, Optional, Union

import msgspec

from cd4ml.errors import InvalidInput, PipelineError
from cd4ml.pipeline.graph import Parameter, StepDeclaration
from cd4ml.pipeline.seed import PARAMETER
from cd4ml.store.storable import problem

_TYPES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, str, bool, list, tuple, dict)},
    "None": None,
    "Any": Any,
    "Literal": Literal,
    "Optional": Optional,
    "Union": Union,
    "Sequence": list,
    "Mapping": dict,
}


def values_of(
    steps: Iterable[StepDeclaration],
    wanted: Mapping[str, Any],
    known: Iterable[StepDeclaration],
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """The value of every parameter of the steps, by "step.parameter".

    Args:
        steps: The steps that will run.
        wanted: Values that differ from the declared ones, by "step.parameter".
        known: All steps of the pipeline: naming one that will not run is no mistake.
        seed: What a parameter of that name without a default gets.

    Raises:
        InvalidInput: If a wanted name is unknown, or a value has the wrong type.
        PipelineError: If a parameter without a default is not given.
    """
    declared = {f"{step.name}.{p.name}": p for step in known for p in step.parameters}
    for name, value in wanted.items():
        if name not in declared:
            msg = f"no parameter named {name!r}"
            listed = ", ".join(sorted(declared)) or "none, no step has keyword-only parameters"
            raise InvalidInput(msg, hint=f"known: {listed}")
        _convert(name, value, declared[name])
    return {
        f"{step.name}.{p.name}": _value(step, p, wanted, seed)
        for step in steps
        for p in step.parameters
    }


def _value(
    step: StepDeclaration, parameter: Parameter, wanted: Mapping[str, Any], seed: int
) -> Any:
    name = f"{step.name}.{parameter.name}"
    if name in wanted:
        return _convert(name, wanted[name], parameter)
    if parameter.is_required and parameter.name == PARAMETER:
        return seed
    if parameter.is_required:
        msg = f"{step.where}: the parameter {name!r} has no default and was not given"
        raise PipelineError(msg, hint=f"give it with --set {name}=VALUE, or declare a default")
    return parameter.default if parameter.default is None else _typed(parameter)


def _typed(parameter: Parameter) -> Any:
    # a declared default may break its own hint; that is the author's affair
    try:
        return msgspec.convert(parameter.default, _type_of(parameter))
    except msgspec.ValidationError:
        return parameter.default


def _convert(name: str, value: Any, parameter: Parameter) -> Any:
    shown = parameter.default if not parameter.is_required else "required"
    hint = f"it is declared as {parameter.name}: {parameter.hint or 'Any'} = {shown!r}"
    unstorable = problem(value)
    if unstorable:
        raise InvalidInput(f"parameter {name!r}: {unstorable}", hint=hint)
    try:
        return msgspec.convert(value, _type_of(parameter))
    except msgspec.ValidationError as error:
        msg = f"parameter {name!r}: {str(error)[0].lower()}{str(error)[1:]}"
        raise InvalidInput(msg, hint=hint + _as_text(name, value, parameter)) from None


def _as_text(name: str, value: Any, parameter: Parameter) -> str:
    """How a value is written that was read as a number, and is wanted as text; and the other way."""
    if isinstance(value, str):
        meant = next((each for each in _meant(value) if _fits(each, parameter)), value)
        return "" if meant is value else f"; it is written --set '{name}={json.dumps(meant)}'"
    text = json.dumps(value)
    if not _fits(text, parameter):
        return ""
    return f"; as text it is written --set '{name}={json.dumps(text)}'"


def _meant(text: str) -> Iterator[Any]:
    """What a text may have been meant as, by somebody who writes it as in Python or a shell."""
    words = {"none": None, "true": True, "yes": True, "false": False, "no": False}
    if text.lower() in words:
        yield words[text.lower()]
    parts = [part.strip(" '\"") for part in text.strip("[]()").split(",")]
    try:
        yield [json.loads(part) for part in parts]
    except ValueError:
        yield parts


def _fits(value: Any, parameter: Parameter) -> bool:
    try:
        msgspec.convert(value, _type_of(parameter))
    except msgspec.ValidationError:
        return False
    return True


def _type_of(parameter: Parameter) -> Any:
    """The type that a hint's text names; that of the default where it names none of ours."""
    try:
        return _evaluated(ast.parse(parameter.hint, mode="eval").body)
    except (SyntaxError, KeyError, TypeError):
        return type(parameter.default) if parameter.default is not None else Any


def _evaluated(node: ast.expr) -> Any:
    """A type expression of the names above, without running anything."""
    match node:
        case ast.Constant(value=None):
            return None
        case ast.Name(id=name):
            return _TYPES[name]
        case ast.Attribute(attr=name):
            return _TYPES[name]
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return Union[_evaluated(left), _evaluated(right)]  # noqa: UP007 - built at run time
        case ast.Subscript(value=kind, slice=inside):
            outer = _evaluated(kind)
            parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
            return outer[tuple(_argument(part, outer) for part in parts)]
        case _:
            raise KeyError(ast.dump(node))


def _argument(node: ast.expr, outer: Any) -> Any:
    if isinstance(node, ast.Constant) and (outer is Literal or node.value is ...):
        return node.value
    return _evaluated(node)
