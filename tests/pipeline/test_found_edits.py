"""Edits that were found to give stale results, or needless runs: none of them does any more.

The projects and edits stand in `found_edits.txt`. Each step is called before and after its
edit. Where what it gives has changed, its code has another address, or something that it was
seen to read is not what it was; where it has not, neither is the case.
"""

import ast
import builtins
import decimal
import json
import math
import random
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cd4ml.pipeline.dependencies import Dependencies
from cd4ml.pipeline.fingerprint import ReachedCode
from cd4ml.pipeline.graph import StepDeclaration, declared_in
from cd4ml.pipeline.module import compiled_below, imported
from cd4ml.pipeline.sources import Sources
from cd4ml.pipeline.watch import Watch, watching

FOUND = (Path(__file__).parent / "found_edits.txt").read_text()
CASES = dict(re.findall(r"^== (.*)\n((?:(?!== ).*\n)*)", FOUND, re.MULTILINE))


class Looked(NamedTuple):
    """What a step gave, the address of its code, and what it read beside."""

    value: str
    address: str
    beside: dict[str, str]


@pytest.fixture(autouse=True)
def as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Some of the projects change Python itself."""
    monkeypatch.setenv("RG", "a")
    monkeypatch.chdir(tmp_path)
    kept = (abs, math.sqrt, decimal.getcontext().copy(), random.getstate())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    builtins.abs, math.sqrt = kept[0], kept[1]  # type: ignore[assignment]
    decimal.setcontext(kept[2])
    random.setstate(kept[3])


def lay_out(case: str, folder: Path) -> None:
    for name, text in re.findall(r"^-- (\S+)\n((?:(?!@@|--).*\n)*)", case, re.MULTILINE):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def change(case: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for line in re.findall(r"^@@ (.*)$", case, re.MULTILINE):
        name, _, what = line.partition(" ")
        old, arrow, new = what.partition(" => ")
        if name == "$RG":
            monkeypatch.setenv("RG", "b")
        elif arrow:
            text = (folder / name).read_text()
            assert text.count(ast.literal_eval(old)) == 1
            changed = text.replace(ast.literal_eval(old), ast.literal_eval(new))
            (folder / name).write_text(changed)
        else:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text(ast.literal_eval(what.removeprefix("+ ")))


def look(folder: Path) -> Looked:
    sources = Sources(folder, "pipeline")
    reached = ReachedCode(sources).by("pipeline", "s")
    dependencies = Dependencies(sources, {"s": reached}, {"s": reached.meant})
    address = reached.address
    importing, computing = Watch(folder), Watch(folder)
    with imported(folder, "pipeline", watching(importing)) as module:
        step = declared_in(module, folder)
        with watching(computing):
            value = called(module.s)
        loaded = compiled_below(folder)
    beyond = dependencies.without_what_is_read(importing.seen())
    seen = computing.seen().and_also(beyond)._replace(loaded=loaded, fresh=frozenset(loaded))
    return Looked(value, address, dependencies.of(the(step), seen))


def called(step: object) -> str:
    try:
        return json.dumps(step(), default=lambda other: type(other).__name__)  # type: ignore[operator]
    except NameError as error:
        return str(error)


def the(steps: tuple[StepDeclaration, ...]) -> StepDeclaration:
    return next(step for step in steps if step.name == "s")


@pytest.mark.parametrize("name", CASES)
def test_an_edit_is_noticed_if_and_only_if_it_changes_what_the_step_gives(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    lay_out(case, tmp_path)
    before = look(tmp_path)

    change(case, tmp_path, monkeypatch)

    holds = Dependencies(Sources(tmp_path, "pipeline"), {}, {}).hold(before.beside)
    after = look(tmp_path)
    assert (after.value != before.value) == (not holds or after.address != before.address)


def test_all_of_them_were_read() -> None:
    assert len(CASES) == FOUND.count("\n== ") > 200
