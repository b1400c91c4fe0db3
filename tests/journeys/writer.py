"""A program: give commands one after the other for some seconds.

    python writer.py FOLDER NAME SECONDS

Each turn adds a person and registers other data, each fifth runs the pipeline with another
parameter, which takes as long as the others together.
Prints the number of turns, and what any command that failed had to say, as JSON.
"""

import contextlib
import io
import itertools
import json
import sys
import time
from pathlib import Path

from cd4ml.cli import main

RUNS_EACH = 5  # turns


def turn(folder: Path, name: str, number: int) -> list[list[str]]:
    """The commands of one turn."""
    data = folder / "data" / f"{name}.csv"
    data.write_text(f"fare\n{number}\n")
    run = ["run", "--set", f"delay.strength={number + 1}", "--experiment", name]
    return [
        ["people", "add", f"{name}-{number}"],
        ["data", "add", f"fares_{name}", "--path", f"data/{name}.csv"],
        *([run] if number % RUNS_EACH == 0 else []),
    ]


def write(folder: Path, name: str, seconds: float) -> None:
    """Give commands until the time is over, and some turns in any case."""
    end = time.monotonic() + seconds
    failures = []
    for number in itertools.count():
        if number > RUNS_EACH and time.monotonic() > end:
            break
        for words in turn(folder, name, number):
            said = io.StringIO()
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(said):
                code = main([*words, "--project", str(folder)])
            if code != 0:
                failures.append({"words": words, "code": code, "said": said.getvalue()})
    sys.stdout.write(json.dumps({"turns": number, "failures": failures}))


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[2], float(sys.argv[3]))
