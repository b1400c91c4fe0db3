"""Make a run again, and say whether the result is the same."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from cd4ml.cli.given import Answer, Given
from cd4ml.cli.words import Commands

if TYPE_CHECKING:
    from cd4ml.cli.screen import Screen
    from cd4ml.records.reproduction import RebuiltStep, Reproduction

_NOT_REPRODUCED = 3
_PARTS = 3  # what differs in an output: the largest ones are shown

_ENVIRONMENTS = {
    "recorded": "the recorded one, which is the present one",
    "rebuilt": "made from the run's lock",
    "this": "the present one, which is not the recorded one",
}


def add(commands: Commands) -> None:
    """`reproduce`."""
    parser = commands.add(
        "reproduce",
        reproduce,
        "make a run or model version again, and say whether the result is the same",
        "Code, data, parameters and environment are those that the run recorded; it is made in a\n"
        "clean folder, with every step computed. The project itself is left as it is.\n"
        "Exit code 0: identical to the byte or within the tolerance; 3: not; 1: it could not be\n"
        "made again, for instance because packages cannot be installed.",
    )
    parser.add_argument("ref", metavar="RUN|VERSION", help="run/12, delay/3 or delay@champion")
    parser.add_argument(
        "--tolerance",
        type=_tolerance,
        default=1e-6,
        metavar="NUMBER",
        help="largest difference that counts as none, relative above one (default: 1e-6)",
    )
    parser.add_argument(
        "--this-environment",
        action="store_true",
        help="in the present environment, whatever the recorded one was",
    )
    parser.add_argument("--to", metavar="FOLDER", help="lay the code out there, and keep it")


def reproduce(given: Given) -> Answer[Reproduction]:
    """Make it again."""
    from cd4ml.cli.run_screen import watched
    from cd4ml.loop.reproduce import reproduce

    words = given.words
    with watched(is_quiet=given.is_json) as watch:
        found = reproduce(
            given.project,
            words.ref,
            tolerance=words.tolerance,
            this_environment=words.this_environment,
            to=Path(words.to).absolute() if words.to else None,
            actor=given.actor,
            progress=watch.progress,
        )
    is_same = found.outcome in ("identical", "within_tolerance")
    return Answer(found, _show, exit_code=0 if is_same else _NOT_REPRODUCED)


def _show(screen: Screen, found: Reproduction) -> None:
    whole = f"{found.version} of {found.run}" if found.version else found.run
    screen.title(f"{whole}: {_said(found)}")
    screen.table(
        ("step", "", "seconds", "what differs"),
        [_line(step) for step in found.steps],
    )
    unlike = found.environment_differences
    screen.facts(
        (
            ("code", _code(found)),
            ("environment", _ENVIRONMENTS[found.environment]),
            *(("", each) for each in unlike[:_PARTS]),
            ("", f"and {len(unlike) - _PARTS} more" if len(unlike) > _PARTS else ""),
            ("laid out in", found.folder),
        )
    )


def _said(found: Reproduction) -> str:
    if found.outcome == "identical":
        return "identical to the byte"
    if found.outcome == "within_tolerance":
        return f"the same within {found.tolerance:g}"
    if found.outcome == "failed":
        return f"not made again, {found.first} failed"
    return f"not the same, {found.first} is the first step that differs"


def _code(found: Reproduction) -> str:
    revision = found.revision[:12] or "the files that the run kept"
    changed = " with the changes that were recorded" if found.is_dirty else ""
    is_other = found.is_same_code is False
    same = "; what the steps reach is not the code that ran" if is_other else ""
    return f"{revision}{changed}{same}"


def _line(step: RebuiltStep) -> tuple[str, str, str, str]:
    parts = [_part(part.name, part.difference, part.note) for part in step.parts[:_PARTS]]
    if len(step.parts) > _PARTS:
        parts.append(f"and {len(step.parts) - _PARTS} more")
    if step.outcome != "identical" and step.note:
        parts.insert(0, step.note)
    return (step.step, step.outcome.replace("_", " "), f"{step.seconds:.2f}", "; ".join(parts))


def _part(name: str, difference: float | None, note: str) -> str:
    if difference is None:
        return f"{name}: {note}"
    return f"{name} by {difference:.2g}{f' ({note})' if note else ''}"


def _tolerance(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        msg = f"expected a number of 0 or more, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return value
