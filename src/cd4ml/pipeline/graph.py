"""What needs what: the steps as they were declared, in the order they have to run."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from cd4ml.errors import InvalidInput, PipelineError
from cd4ml.pipeline.command import Command
from cd4ml.pipeline.step import Metrics, Model, Step
from cd4ml.pipeline.storable_hints import STORABLE, returned_by, unstorable
from cd4ml.records.resources import Patience, Resources
from cd4ml.store.address import canonical

_LISTED = 10  # problems in one message


class Input(msgspec.Struct, frozen=True):
    """A positional parameter: a dataset or another step, and the type it is wanted as."""

    name: str
    hint: str = ""  # last word of the type hint: "LazyFrame", "DataFrame", "Model", ...


class Parameter(msgspec.Struct, frozen=True):
    """A keyword-only parameter of a step, as it was declared."""

    name: str
    hint: str = ""  # the type hint as text: "int", "float | None"
    default: Any = None
    is_required: bool = False


class StepDeclaration(msgspec.Struct, frozen=True, kw_only=True):
    """A step as its function declares it; everything about it but its code."""

    name: str
    module: str
    function: str
    where: str  # file:line below the project's folder
    inputs: tuple[Input, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    output: str = ""  # last word of the return hint
    is_cached: bool = True
    columns: dict[str, tuple[str, ...]] = {}  # of the output -> "input.column", ...
    is_command: bool = False  # a program, whatever its language
    resources: Resources = Resources()
    patience: Patience = Patience()

    @property
    def needs(self) -> tuple[str, ...]:
        """The names of its inputs."""
        return tuple(each.name for each in self.inputs)


class Graph(msgspec.Struct, frozen=True):
    """The steps in an order in which each comes after what it needs."""

    steps: tuple[StepDeclaration, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the steps."""
        return tuple(step.name for step in self.steps)

    def needed_for(self, targets: Collection[str]) -> tuple[StepDeclaration, ...]:
        """The steps that the targets need, and themselves, in order; all without targets.

        Raises:
            InvalidInput: If there is no step of such a name.
        """
        for target in targets:
            if target not in self.names:
                msg = f"no step named {target!r}"
                raise InvalidInput(msg, hint=f"known: {', '.join(self.names)}")
        wanted = set(targets or self.names)
        for step in reversed(self.steps):
            if step.name in wanted:
                wanted.update(step.needs)
        return tuple(step for step in self.steps if step.name in wanted)


def declared_in(module: ModuleType, folder: Path) -> tuple[StepDeclaration, ...]:
    """The steps that an imported module has, its own and imported ones.

    Raises:
        PipelineError: With everything that is wrong with their signatures.
    """
    found = _found(module)
    _refuse([problem for step in found for problem in _wrong_with(step, folder)])
    return tuple(_declaration(step, folder) for step in found)


def steps_in(module: ModuleType) -> dict[str, Step[Any, Any]]:
    """The steps of an imported module, by their own names."""
    return {each.name: each for each in _found(module)}


def _found(module: ModuleType) -> list[Step[Any, Any]]:
    found: dict[int, Step[Any, Any]] = {}
    for name, each in vars(module).items():
        if isinstance(each, Command):
            each.called(name)
        if isinstance(each, Step):
            found[id(each)] = each
    return list(found.values())


def build(steps: Iterable[StepDeclaration], datasets: Collection[str]) -> Graph:
    """The graph of these steps over the datasets of these names.

    Raises:
        PipelineError: If an input is neither a step nor a dataset, a name is both, two
            steps have one name, or steps need each other in a circle.
    """
    steps = tuple(steps)
    if not steps:
        msg = "the pipeline's module declares no step"
        raise PipelineError(msg, hint="mark a function with @step (from cd4ml import step)")
    _refuse([*_taken_names(steps, datasets), *_missing(steps, datasets)])
    return Graph(_in_order(steps))


def _taken_names(steps: tuple[StepDeclaration, ...], datasets: Collection[str]) -> list[str]:
    problems, first = [], dict[str, StepDeclaration]()
    for step in steps:
        if step.name in datasets:
            problems.append(f"{step.where}: {step.name!r} is a step and a dataset")
        if step.name in first:
            other = first[step.name].where
            problems.append(f"{step.where}: {step.name!r} is declared in {other} too")
        first.setdefault(step.name, step)
    return problems


def _missing(steps: tuple[StepDeclaration, ...], datasets: Collection[str]) -> list[str]:
    known = {*datasets, *(step.name for step in steps)}
    return [
        f"{step.where}: step {step.name!r} needs {name!r}, which is neither a step nor a dataset"
        f" ({_suggestion(name, known)})"
        for step in steps
        for name in step.needs
        if name not in known
    ]


def _suggestion(name: str, known: set[str]) -> str:
    close = get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known: {', '.join(sorted(known))}"


def _in_order(steps: tuple[StepDeclaration, ...]) -> tuple[StepDeclaration, ...]:
    names = {step.name for step in steps}
    ordered: list[StepDeclaration] = []
    waiting = list(steps)
    while waiting:
        done = {step.name for step in ordered}
        ready = next((s for s in waiting if names.intersection(s.needs) <= done), None)
        if ready is None:
            raise _circle(waiting)
        ordered.append(ready)
        waiting.remove(ready)
    return tuple(ordered)


def _circle(waiting: list[StepDeclaration]) -> PipelineError:
    by_name = {step.name: step for step in waiting}
    path = [waiting[0].name]
    while path[-1] not in path[:-1]:
        path.append(next(name for name in by_name[path[-1]].needs if name in by_name))
    path = path[path.index(path[-1]) :]
    where = by_name[path[0]].where
    msg = f"{where}: steps need each other in a circle: {' needs '.join(path)}"
    return PipelineError(msg, hint="rename an input, or take one of the steps out")


def _wrong_with(step: Step[Any, Any], folder: Path) -> list[str]:
    problems = []
    if not step.name.isidentifier():
        problems.append("has no name that other steps could use; define it with def")
    if inspect.iscoroutinefunction(step.function) or inspect.isgeneratorfunction(step.function):
        problems.append("is asynchronous or a generator; return the whole output")
    for parameter in inspect.signature(step.function).parameters.values():
        has_default = parameter.default is not parameter.empty
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            problems.append(f"takes {parameter}; name each input and parameter")
        elif parameter.kind is not parameter.KEYWORD_ONLY and has_default:
            problems.append(
                f"gives its input {parameter.name!r} a default; inputs have none, and"
                " parameters stand behind a *"
            )
        elif has_default and not _is_json(parameter.default):
            problems.append(
                f"has a default for {parameter.name!r} that JSON cannot hold:"
                f" {type(parameter.default).__name__}"
            )
    if step.replaces is not None:
        other = _where(step.replaces, folder)
        problems.append(f"is declared in {other} too; give one of them another name")
    problems += _wrong_columns(step)
    problems += _wrong_command(step, folder) if isinstance(step, Command) else _wrong_output(step)
    return [f"{_where(step, folder)}: step {step.name!r} {problem}" for problem in problems]


def _wrong_command(step: Command, folder: Path) -> list[str]:
    missing = [pattern for pattern in step.code or () if not any(folder.glob(pattern))]
    return step.problems + [f"has code {pattern!r}, where there is no file" for pattern in missing]


def _wrong_output(step: Step[Any, Any]) -> list[str]:
    returned = returned_by(step.function)
    what = unstorable(returned)
    return [f"returns {what}, which cannot be stored ({STORABLE})"] if what else []


def _wrong_columns(step: Step[Any, Any]) -> list[str]:
    parameters = inspect.signature(step.function).parameters.values()
    inputs = [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY]
    expected = f"INPUT.COLUMN of {', '.join(inputs) or 'an input, and it has none'}"
    if not isinstance(step.columns, Mapping):
        return [f"has columns that are no mapping, but {type(step.columns).__name__}"]
    problems = []
    for name, sources in step.columns.items():
        if isinstance(sources, str) or not isinstance(sources, Sequence):
            problems.append(f"has no list of sources for its column {name!r}, but {sources!r}")
            continue
        problems += [
            f"makes its column {name!r} from {source!r}; expected {expected}"
            for source in sources
            if not (isinstance(source, str) and _is_of(source, inputs))
        ]
    return problems


def _is_of(source: str, inputs: list[str]) -> bool:
    name, dot, column = source.partition(".")
    return name in inputs and bool(dot and column)


def _declaration(step: Step[Any, Any], folder: Path) -> StepDeclaration:
    signature = inspect.signature(step.function)
    parameters = signature.parameters.values()
    return StepDeclaration(
        name=step.name,
        module=step.function.__module__,
        function=step.function.__qualname__,
        where=_where(step, folder),
        inputs=tuple(
            Input(each.name, _word(each.annotation))
            for each in parameters
            if each.kind is not each.KEYWORD_ONLY
        ),
        parameters=tuple(_parameter(p) for p in parameters if p.kind is p.KEYWORD_ONLY),
        output=_word(signature.return_annotation),
        is_cached=step.is_cached,
        columns={name: tuple(sources) for name, sources in step.columns.items()},
        is_command=isinstance(step, Command),
        resources=step.resources,
        patience=step.patience,
    )


def _parameter(parameter: inspect.Parameter) -> Parameter:
    is_required = parameter.default is parameter.empty
    return Parameter(
        name=parameter.name,
        hint=_text(parameter.annotation),
        default=None if is_required else _with_lists(parameter.default),
        is_required=is_required,
    )


def _where(step: Step[Any, Any], folder: Path) -> str:
    file, line = step.place
    path = Path(file)
    shown = path.relative_to(folder) if path.is_relative_to(folder) else path
    return f"{shown}:{line}"


def _word(annotation: Any) -> str:
    """The last word of a type hint: `pl.LazyFrame` -> "LazyFrame"."""
    if annotation in (Model, Metrics):
        return "Model" if annotation == Model else "Metrics"
    return _text(annotation).rpartition(".")[2]


def _text(annotation: Any) -> str:
    if annotation is inspect.Parameter.empty:
        return ""
    return annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)


def _is_json(value: Any) -> bool:
    try:
        return bool(msgspec.json.decode(canonical(value)) == _with_lists(value))
    except (TypeError, ValueError, OverflowError):
        return False


def _with_lists(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _with_lists(inner) for key, inner in value.items()}
    return [_with_lists(inner) for inner in value] if isinstance(value, list | tuple) else value


def _refuse(problems: list[str]) -> None:
    if not problems:
        return
    if len(problems) == 1:
        raise PipelineError(problems[0])
    listed = "".join(f"\n  - {problem}" for problem in problems[:_LISTED])
    more = f"\n  ... and {len(problems) - _LISTED} more" if len(problems) > _LISTED else ""
    msg = f"the pipeline has {len(problems)} mistakes{listed}{more}"
    raise PipelineError(msg)
