"""Runs the benchmarks, passes their figures through, and writes them down in docs/benchmarks.md.

Run:
    python tools/bench.py            (all of benchmarks/bench_*.py)
    python tools/bench.py data       (only bench_data.py; the other tables stay as they are)

A benchmark prints one line of JSON a figure, `{"name", "value", "unit", "goal", "holds"}`, and
one a peer, `{"peer", "version"}`. A figure that misses its goal is shown as such and fails
nothing; a benchmark that crashes, or prints no figure, fails the run and leaves its table as
it was.
"""

import argparse
import ast
import os
import platform
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from typing import TypeVar

import msgspec

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"

_HEAD = """\
# Benchmarks

Written by `make bench`. Each table compares side by side, in one run: the contestants take turns, and medians are
quoted. "A beside B" is A's figure divided by B's: such ratios depend less on the machine than seconds do. A line
without a goal explains the others.
"""
_SIGNS = {"<=": "at most", ">=": "at least", "==": "exactly"}


class Figure(msgspec.Struct, frozen=True):
    """One measured value, with the goal it has to hold if it has one."""

    name: str
    value: float
    unit: str
    goal: str | float = ""
    holds: bool | None = None


class Peer(msgspec.Struct, frozen=True):
    """What a benchmark compares with, and in which version."""

    peer: str
    version: str


Line = TypeVar("Line", Figure, Peer)


class Measured(msgspec.Struct, frozen=True):
    """What one benchmark printed, how it ended, and how long it took."""

    program: Path
    figures: tuple[Figure, ...]
    peers: tuple[Peer, ...]
    exit_code: int
    seconds: float

    @property
    def failure(self) -> str:
        """Why its figures do not count; "" if they do."""
        if self.exit_code:
            return f"{self.program.name} ended with exit code {self.exit_code}"
        return "" if self.figures else f"{self.program.name} printed no figure"


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and run; returns an exit code."""
    parser = argparse.ArgumentParser(description="Run the benchmarks, write docs/benchmarks.md.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only bench_NAME.py")
    return run(FOLDER, PAGE, parser.parse_args(arguments).names)


def run(folder: Path, page: Path, names: Sequence[str] = ()) -> int:
    """Run the benchmarks of a folder and write a page; returns an exit code."""
    programs = sorted(folder.glob("bench_*.py"))
    known = {program.stem.removeprefix("bench_"): program for program in programs}
    if unknown := [name for name in names if name not in known]:
        print(f"no benchmark {unknown[0]}; known: {', '.join(known)}", file=sys.stderr)
        return 2
    measured = [measure(known[name]) for name in names or known]
    kept = sections(page.read_text()) if page.exists() else {}
    fresh = {each.program.stem: section(each) for each in measured if not each.failure}
    texts = [text for program in programs if (text := (kept | fresh).get(program.stem)) is not None]
    page.write_text("\n".join([_HEAD, *texts]))
    failures = [each.failure for each in measured if each.failure]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def measure(program: Path) -> Measured:
    """Run one benchmark; its lines are passed through as they come."""
    print(f"== {program.name}", file=sys.stderr, flush=True)
    began, lines = time.monotonic(), []
    environment = {"OMP_NUM_THREADS": "1", **os.environ}
    with subprocess.Popen(
        [sys.executable, program], stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return Measured(
        program=program,
        figures=tuple(_read(lines, Figure)),
        peers=tuple(_read(lines, Peer)),
        exit_code=process.returncode,
        seconds=time.monotonic() - began,
    )


def _read(lines: Sequence[str], kind: type[Line]) -> Iterator[Line]:
    for line in lines:
        try:
            yield msgspec.json.decode(line, type=kind)
        except msgspec.MsgspecError:
            continue


def sections(text: str) -> dict[str, str]:
    r"""The sections of a page by their headings.

    Examples:
        >>> sections("# Top\n\nwords\n\n## one\n\na\n\n## two\n\nb\n")
        {'one': '## one\n\na\n', 'two': '## two\n\nb\n'}
    """
    parts = re.split(r"^## (.+)\n", text, flags=re.MULTILINE)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {heading: f"## {heading}\n{body.rstrip()}\n" for heading, body in pairs}


def section(measured: Measured) -> str:
    """What the page says about one benchmark."""
    rows = ["| figure | value | goal | holds |", "|---|---|---|---|", *map(row, measured.figures)]
    parts = (*_about(measured.program), "\n".join(rows), _run(measured))
    return "\n\n".join((f"## {measured.program.stem}", *parts)) + "\n"


def _about(program: Path) -> Iterator[str]:
    """What a benchmark says it answers, without how it is run."""
    text = ast.get_docstring(ast.parse(program.read_text())) or ""
    paragraphs = text.split("\n\n")
    return takewhile(lambda words: words and not words.startswith(("Run", "Prints")), paragraphs)


def row(figure: Figure) -> str:
    """One line of a table.

    Examples:
        >>> row(Figure("versions a second", 1280.0, "versions/s", ">= 200", True))
        '| versions a second | 1,280 versions/s | at least 200 | yes |'
        >>> row(Figure("a read", 0.43, "s"))
        '| a read | 0.43 s |  |  |'
    """
    sign, _, limit = str(figure.goal).partition(" ")
    goal = f"{_SIGNS[sign]} {limit}" if sign in _SIGNS else str(figure.goal)
    holds = {True: "yes", False: "**no**", None: ""}[figure.holds]
    value = f"{figure.value:,g}" if abs(figure.value) < 1e5 else f"{figure.value:,.0f}"
    cells = (figure.name, f"{value} {figure.unit}".rstrip(), goal, holds)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _run(measured: Measured) -> str:
    """On what machine, when and beside whom it was measured."""
    peers = ", ".join(f"{each.peer} {each.version}" for each in measured.peers)
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, {measured.seconds:.0f} s"
        f"{f'; beside {peers}' if peers else ''}."
    )


if __name__ == "__main__":
    sys.exit(main())
