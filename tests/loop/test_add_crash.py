"""Adding is killed anywhere, and done by many beside gc: no byte that a version needs is lost."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from cd4ml.loop import Project, open_project
from cd4ml.loop.ingest import ingest
from cd4ml.loop.versions import checkout, gc, log, verify
from cd4ml.store import file_store as engine
from cd4ml.store.file_store import everything
from tests.data.folders import content
from tests.loop import kill_add
from tests.loop.world import ANN


def known(project: Project) -> set[str]:
    with project.database.read() as connection:
        return {place.object for place in everything(connection)}


def lie_there(project: Project) -> set[str]:
    return {entry.name for entry in project.files.objects.list()}


@pytest.mark.timeout(400)
@pytest.mark.parametrize("keeping", [pytest.param("copy", marks=pytest.mark.slow), "hardlink"])
def test_wherever_an_add_is_killed_nothing_that_is_needed_is_missing(
    project: Project, tmp_path: Path, keeping: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = project.folder
    (folder / "in").mkdir()
    project.close()

    done = subprocess.run(
        [sys.executable, "-m", kill_add.__name__, str(folder), keeping],
        capture_output=True, text=True, check=False, cwd=Path(kill_add.__file__).parents[2], timeout=300,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 20
    with open_project(folder) as again:
        version = ingest(again, "pictures", path="in", actor=ANN)
        assert verify(again, "pictures").damaged == ()
        checkout(again, version.ref, to=tmp_path / "out", actor=ANN)
        assert content(tmp_path / "out" / "in") == content(folder / "in")
        assert known(again) < lie_there(again)
        monkeypatch.setattr(engine, "_UNKNOWN_FOR", -engine._UNKNOWN_FOR)
        gc(again, actor=ANN)
        assert known(again) == lie_there(again)
        assert verify(again, "pictures").damaged == ()


ADD = """
import sys, os; from pathlib import Path
from cd4ml.loop import open_project; from cd4ml.loop.ingest import ingest
folder, name, seconds = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
import time; end = time.monotonic() + seconds; n = 0
here = folder / name; here.mkdir()
with open_project(folder) as project:
    while time.monotonic() < end:
        n += 1  # of five files shared with the other adder, some come and go
        for i in range(5): (here / f"shared{i}").write_bytes(b"%d" % ((n // (i + 1)) % 7) * 1000)
        (here / "own").write_bytes(f"{name} {n}".encode())
        ingest(project, name, path=name, actor="ann")
print(n)
"""
COLLECT = """
import sys, time; from pathlib import Path
from cd4ml.loop import open_project; from cd4ml.loop.versions import gc
from cd4ml.errors import Conflict
end = time.monotonic() + float(sys.argv[3]); n = 0
with open_project(Path(sys.argv[1])) as project:
    while time.monotonic() < end:
        try: n += len(gc(project, keep=3, actor="ann").versions)
        except Conflict: pass
print(n)
"""

READ = """
import sys, time; from pathlib import Path
from cd4ml.errors import NotFound
from cd4ml.loop import open_project; from cd4ml.loop.versions import checkout, log
end = time.monotonic() + float(sys.argv[3]); n = 0
with open_project(Path(sys.argv[1])) as project:
    while time.monotonic() < end:
        try: ref = log(project, "one", limit=3)[-1].version.ref
        except (NotFound, IndexError): continue
        try:
            checkout(project, ref, to=Path(sys.argv[1]) / f"read{n}", actor="ann"); n += 1
        except NotFound:  # it was removed meanwhile, or else it is a bug
            if not [e for e in log(project, "one") if e.version.ref == ref and e.removed]: raise
print(n)
"""


def test_adders_readers_and_collectors_at_once_lose_nothing(
    project: Project, tmp_path: Path
) -> None:
    ingest(project, "flights", actor=ANN)
    programs = [(ADD, "one"), (ADD, "two"), (COLLECT, "-"), (COLLECT, "-"), (READ, "-")]

    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(project.folder), name, "4"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for program, name in programs
    ]  # fmt: skip
    begun = time.monotonic()
    said = [process.communicate(timeout=120) for process in running]

    assert [process.returncode for process in running] == [0] * 5, said
    n_one, n_two, *n_removed, n_read = (int(out) for out, _ in said)
    assert time.monotonic() - begun < 100
    assert min(n_one, n_two) > 3
    assert sum(n_removed) > 0
    assert n_read > 0
    assert verify(project).damaged == ()
    for name, n in (("one", n_one), ("two", n_two)):
        versions = log(project, name)
        assert [each.version.number for each in versions] == list(range(n, 0, -1))
        kept = [each.version for each in versions if each.removed is None]
        for version in kept[:3]:
            checkout(project, version.ref, to=tmp_path / version.ref, actor=ANN)
        assert content(tmp_path / kept[0].ref / name) == content(project.folder / name)
