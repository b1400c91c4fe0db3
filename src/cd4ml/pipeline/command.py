"""Steps in any language: a program that reads files and writes one.

A command is a step like others: its inputs are datasets and steps by name, its parameters
are checked and recorded, its output is stored and taken from the cache. It gets files, and
parameters as words or in environment variables; no shell stands between.
"""

from __future__ import annotations

import inspect
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from cd4ml.pipeline.files import FORMATS, Unreadable, kept, read_output, write_input
from cd4ml.pipeline.step import Columns, Metrics, Step

_KEPT = 20  # lines of what a program said, when it fails
_PARTING_S = 5  # from the request to end to the end
_RESERVED = ("output", "python")


class CommandFailed(Exception):
    """A program could not be started, did not succeed, or wrote no output."""


class Command(Step[..., Any]):
    """A program that is a step; its name is that of the variable it is assigned to.

    Attributes:
        program: The words of the command, with `{name}` where a file or value is put in.
        formats: Input -> the format of its file ("parquet", "csv", ...).
        output: The name of the file it writes; the suffix says how that is read.
        code: Patterns of the files that count as its code; None: every file of the project.
        problems: What is wrong with it, as far as that can be seen without running it.
    """

    def __init__(
        self,
        program: Sequence[str],
        *,
        inputs: Mapping[str, str],
        output: str,
        parameters: Mapping[str, Any],
        code: Sequence[str] | None,
        is_metrics: bool,
        is_cached: bool,
        columns: Columns | None,
        place: tuple[str, int],
        module: str,
    ) -> None:
        self.program = tuple(program)
        self.formats = dict(inputs)
        self.output = output
        self.code = None if code is None else tuple(code)
        self.parameters = dict(parameters)
        self.is_metrics = is_metrics
        self._place = place
        super().__init__(_Started(self, module), is_cached=is_cached, columns=columns)
        self.name = ""

    def __reduce__(self) -> str:
        return self.name

    def called(self, name: str) -> None:
        """The name it is assigned to; the first one counts."""
        if not self.name:
            self.name = self.function.__name__ = self.function.__qualname__ = name

    @property
    def place(self) -> tuple[str, int]:
        """File and line."""
        return self._place

    @property
    def problems(self) -> list[str]:
        """What is wrong with it, as far as that can be seen without running it."""
        names = (*self.formats, *self.parameters)
        bad = [name for name in names if not name.isidentifier() or name in _RESERVED]
        twice = sorted(self.formats.keys() & self.parameters.keys())
        formats = [(name, kind) for name, kind in self.formats.items() if kind not in FORMATS]
        is_bare = bool(self.output) and Path(self.output).name == self.output
        return [
            *([] if self.program else ["has no word to start"]),
            *(f"cannot have an input or a parameter named {name!r}" for name in bad),
            *(f"has {name!r} as an input and as a parameter" for name in twice),
            *(f"wants {n!r} as {kind!r}; known: {', '.join(FORMATS)}" for n, kind in formats),
            *(problem for word in self.program for problem in self._wrong_with(word)),
            *([] if is_bare else [f"has no plain name of a file as its output: {self.output!r}"]),
        ]

    def _wrong_with(self, word: str) -> list[str]:
        try:
            asked = {name for _, name, _, _ in Formatter().parse(word) if name is not None}
        except ValueError as error:
            return [f"has a word that cannot be read, {word!r}: {error}"]
        known = {*self.formats, *self.parameters, *_RESERVED}
        listed = ", ".join(sorted(known))
        return [
            f"has {{{name}}} in its command, which is nothing; known: {listed}"
            for name in sorted(asked - known)
        ]

    def run(self, values: Mapping[str, Any], parameters: Mapping[str, Any]) -> Any:
        """Start the program on these inputs and wait for it; what it wrote.

        Raises:
            CommandFailed: If it cannot be started, ends with another code than 0, or wrote
                nothing that can be read.
        """
        with tempfile.TemporaryDirectory(prefix=f"cd4ml-{self.name}-") as place:
            folder = Path(place)
            output = folder / "output" / self.output
            output.parent.mkdir()
            (folder / "inputs").mkdir()
            files = {
                name: write_input(value, folder / "inputs", name, self.formats[name])
                for name, value in values.items()
            }
            given = {**files, **parameters, "output": output, "python": sys.executable}
            words = [
                word.format(**{n: _word(v) for n, v in given.items()}) for word in self.program
            ]
            self._start(words, {**os.environ, **_variables(files, output, parameters)})
            if not output.exists():
                msg = f"the command wrote no {{output}}, {self.output}"
                raise CommandFailed(msg)
            try:
                value = read_output(output)
            except Unreadable as error:
                raise CommandFailed(str(error)) from error
            return kept(value) if isinstance(value, Path) else value

    def _start(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        last: deque[str] = deque(maxlen=_KEPT)
        try:
            process = subprocess.Popen(
                words,
                cwd=_folder_of(Path(self._place[0])),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # so that all it has started can be ended with it
            )
        except OSError as error:
            msg = f"{words[0]!r} cannot be started: {error.strerror}"
            raise CommandFailed(msg) from None
        try:
            with process:
                for line in process.stdout or ():
                    text = line.decode(errors="replace")
                    last.append(text)
                    sys.stderr.write(text)
        except BaseException:
            _end(process)
            raise
        code = process.returncode
        if code:
            ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            said = "".join(last).rstrip()
            raise CommandFailed(
                f"{words[0]!r} {ended}" + (f"; it said last:\n{said}" if said else "")
            )


class _Started:
    """The function of a command: called like any step's, it starts the program."""

    def __init__(self, command: Command, module: str) -> None:
        self._command = command
        self.__module__ = module
        self.__qualname__ = self.__name__ = ""
        self.__signature__ = _signature(command)

    def __call__(self, *values: Any, **parameters: Any) -> Any:
        return self._command.run(dict(zip(self._command.formats, values, strict=True)), parameters)


def command(
    program: str | Sequence[str],
    *,
    inputs: Sequence[str] | Mapping[str, str] = (),
    output: str,
    parameters: Mapping[str, Any] | None = None,
    code: Sequence[str] | None = None,
    metrics: bool = False,
    cache: bool = True,
    columns: Columns | None = None,
) -> Command:
    """A step that is a program in any language; assign it to a name of the pipeline's module.

    It is started in the project's folder, without a shell. It succeeds with exit code 0,
    having written its output.

    Args:
        program: The command, as one text or as a list of words. `{flights}` is the path of the
            input `flights`, `{output}` that of the file to write, `{rows}` the value of a
            parameter, `{python}` the interpreter of this environment. The environment has the
            same as CD4ML_INPUT_FLIGHTS, CD4ML_OUTPUT and CD4ML_PARAMETER_ROWS.
        inputs: Datasets and steps by name; with a format for its file each as {"flights":
            "csv"}, else tables come as Parquet.
        output: The name of the file it writes. `.parquet`, `.csv` and `.ndjson` are read as a
            table, `.npy` as an array, `.json` as plain data; anything else is kept as a file.
        parameters: Name -> default.
        code: Files that count as its code, as paths or patterns below the project's folder.
            Without it every file of the project counts; what the command names, always.
        metrics: Whether the JSON that it writes are metrics.
        cache: False runs it every time.
        columns: As for `step`.

    Examples:
        >>> cleaned = command(
        ...     "Rscript clean.R {flights} {output} {rows}",
        ...     inputs={"flights": "csv"},
        ...     output="cleaned.csv",
        ...     parameters={"rows": 100},
        ...     code=["clean.R", "lib/*.R"],
        ... )
        >>> cleaned.problems
        []
    """
    frame = inspect.currentframe()
    caller = frame.f_back if frame else None
    assert caller is not None
    return Command(
        shlex.split(program) if isinstance(program, str) else tuple(program),
        inputs=inputs if isinstance(inputs, Mapping) else dict.fromkeys(inputs, "parquet"),
        output=output,
        parameters=parameters or {},
        code=code,
        is_metrics=metrics,
        is_cached=cache,
        columns=columns,
        place=(caller.f_code.co_filename, caller.f_lineno),
        module=caller.f_globals["__name__"],
    )


def _signature(made: Command) -> inspect.Signature:
    """Inputs by position, parameters by keyword, as a function would declare them."""
    kinds = inspect.Parameter
    inputs = [
        kinds(name, kinds.POSITIONAL_ONLY)
        for name in made.formats
        if name.isidentifier() and name not in made.parameters
    ]
    parameters = [
        kinds(name, kinds.KEYWORD_ONLY, default=default, annotation=type(default))
        if default is not None
        else kinds(name, kinds.KEYWORD_ONLY, default=None)
        for name, default in made.parameters.items()
        if name.isidentifier()
    ]
    returned = Metrics if made.is_metrics else inspect.Signature.empty
    return inspect.Signature([*inputs, *parameters], return_annotation=returned)


def _variables(
    files: Mapping[str, Path], output: Path, parameters: Mapping[str, Any]
) -> dict[str, str]:
    return {
        "CD4ML_OUTPUT": str(output),
        **{f"CD4ML_INPUT_{name.upper()}": str(path) for name, path in files.items()},
        **{f"CD4ML_PARAMETER_{name.upper()}": _word(v) for name, v in parameters.items()},
    }


def _word(value: Any) -> str:
    """A value as other programs read it: text as it is, everything else as JSON."""
    if isinstance(value, str | Path):
        return str(value)
    import json

    return json.dumps(value)


def _folder_of(file: Path) -> Path:
    """The project's folder: the nearest one with a cd4ml.toml, else that of the module."""
    found = (each for each in file.parents if (each / "cd4ml.toml").is_file())
    return next(found, file.parent)


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
            process.wait(_PARTING_S)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            continue
        return
