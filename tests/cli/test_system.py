"""What the operating system refuses is said in words, without a traceback."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.starter import ADMIN

# root may read and write everything, whatever the mode of a file says
UNPRIVILEGED = [
    "setpriv",
    "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search",
    "--",
]
CD4ML = [*(UNPRIVILEGED if os.geteuid() == 0 else []), sys.executable, "-m", "cd4ml", "--as", ADMIN]


@contextmanager
def closed(path: Path, mode: int) -> Iterator[None]:
    """A file or folder with fewer rights for a while."""
    before = path.stat().st_mode
    path.chmod(mode)
    try:
        yield
    finally:
        path.chmod(before)


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CD4ML, *words], cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("closed_one", "mode", "words", "refused"),
    [
        (".cd4ml/segments", 0o555, "work", ".cd4ml/segments/collector.lock"),
        (".cd4ml/segments", 0o555, "monitor", ".cd4ml/segments/collector.lock"),
        (".cd4ml/runs", 0o555, "run", ".cd4ml/runs/2.lock"),
        ("pipeline.py", 0, "run", "pipeline.py"),
    ],
)
def test_a_file_that_may_not_be_used_is_named(
    folder: Path, closed_one: str, mode: int, words: str, refused: str
) -> None:
    (folder / ".cd4ml" / "segments").mkdir(exist_ok=True)
    (folder / ".cd4ml" / "errors").mkdir(exist_ok=True)

    with closed(folder / closed_one, mode), closed(folder / ".cd4ml" / "errors", 0o555):
        ran = run(folder, *words.split())

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == (
        f"error: {folder / refused} cannot be used: Permission denied\n"
        "  hint: may this user read and write there?\n"
    )
    listed = json.loads(run(folder, "compare", "--json").stdout)
    assert [each["run"]["state"] for each in listed] == ["finished"]


def test_serving_names_the_folder_that_it_needs(folder: Path) -> None:
    serving = folder / ".cd4ml" / "serving"
    serving.mkdir()

    with closed(serving, 0o555):
        ran = run(folder, "serve", "--in", "production", "--port", "0")

    assert ran.returncode == 1
    assert ran.stderr == (
        f"error: the endpoint's folder {serving / 'production'} cannot be made: Permission denied\n"
        "  hint: may this user write there?\n"
    )


def test_no_standard_output_at_all_is_an_error(folder: Path) -> None:
    for words in ("status", "status --json"):
        ran = subprocess.run(
            ["sh", "-c", f'"$@" {words} >&-', "sh", *CD4ML],
            cwd=folder,
            capture_output=True,
            check=False,
        )

        assert ran.returncode == 1
        assert b"the answer cannot be written: there is no standard output" in ran.stderr
        assert b"bug" not in ran.stderr


def test_a_full_disk_behind_standard_output_is_an_error(folder: Path) -> None:
    for words in (["status"], ["status", "--json"]):
        with Path("/dev/full").open("w") as full:
            ran = subprocess.run(
                [*CD4ML, *words], cwd=folder, stdout=full, stderr=subprocess.PIPE, check=False
            )

        assert ran.returncode == 1
        assert b"the answer cannot be written to standard output: No space left" in ran.stderr
        assert b"Exception ignored" not in ran.stderr
