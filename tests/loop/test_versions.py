"""Versions of a dataset through the loop and the command line: names, disks and many at once."""

import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cd4ml.cli.entry import main
from cd4ml.errors import InvalidInput, NotFound, Unavailable
from cd4ml.loop import Project, open_project
from cd4ml.loop.ingest import ingest, show_dataset
from cd4ml.loop.versions import files, gc, get, log, tag, untag, verify
from tests.data.folders import content, lay_out
from tests.loop.world import ANN, actions

ODD = os.fsdecode(b"caf\xe9\n x.png")


def add(project: Project, **files: bytes) -> str:
    lay_out(project.folder / "in", **files)
    return ingest(project, "pictures", path="in", actor=ANN).ref


def test_a_log_has_versions_with_tags_and_removals_the_newest_first(project: Project) -> None:
    for number in range(3):
        add(project, a=b"%d" % number)
    tag(project, "pictures@1", "first", actor=ANN)
    gc(project, keep=1, actor=ANN)

    listed = log(project, "pictures")

    assert [(each.version.number, each.tags) for each in listed] == [
        (3, ()), (2, ()), (1, ("first",)),
    ]  # fmt: skip
    assert [each.removed is not None for each in listed] == [False, True, False]
    assert log(project, "pictures", limit=1) == listed[:1]
    assert actions(project)[-2:] == ["dataset.tagged", "dataset.removed"]
    assert untag(project, "pictures", "first", actor=ANN) == "first"
    assert gc(project, keep=1, actor=ANN).versions == ("pictures@1",)


def test_settings_say_how_many_versions_are_kept(project: Project) -> None:
    for number in range(3):
        add(project, a=b"%d" % number)
    settings = project.folder / "cd4ml.toml"
    settings.write_text(settings.read_text() + '\n[data.pictures]\npath = "in"\nkeep = 2\n')

    assert gc(project, actor=ANN).versions == ()
    with open_project(project.folder) as changed:
        assert gc(changed, is_rehearsed=True, actor=ANN).versions == ("pictures@1",)
        assert gc(changed, actor=ANN).versions == ("pictures@1",)
    with pytest.raises(InvalidInput) as refused:
        gc(project, keep=0, actor=ANN)
    assert str(refused.value) == (
        "expected to keep at least the newest version of each dataset, got 0\n  hint: --keep 1"
    )


def test_whoever_is_not_known_changes_nothing(project: Project) -> None:
    ref = add(project, a=b"1")
    for act in (
        lambda: tag(project, ref, "x", actor="mallory"),
        lambda: untag(project, "pictures", "x", actor="mallory"),
        lambda: gc(project, actor="mallory"),
        lambda: verify(project, ref, actor="mallory"),
    ):
        with pytest.raises(NotFound, match="nobody named 'mallory' works on this project"):
            act()


def test_names_that_are_no_text_go_through_every_face(
    project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("CD4ML_ACTOR", ANN)
    monkeypatch.chdir(project.folder)
    lay_out(project.folder / "in", **{ODD: b"picture"})

    def said(*words: str) -> str:
        assert main(list(words)) == 0
        return capsys.readouterr().out

    added = json.loads(said("data", "add", "pictures", "--path", "in", "--json"))
    assert (added["n_files"], added["kind"]) == (1, "files")
    assert "pictures@1" in said("data", "log", "pictures")
    assert json.loads(said("data", "log", "pictures", "--json"))[0]["version"]["number"] == 1
    for name in (f"in/{ODD}", "in/caf\\xe9\n x.png"):
        path = json.loads(said("data", "get", "pictures", name, "--json"))
        assert Path(path).read_bytes() == b"picture"
    said("data", "checkout", "pictures", "--to", str(tmp_path / "out"))
    assert content(tmp_path / "out" / "in") == {os.fsencode(ODD): b"picture"}
    assert files(project, "pictures").files[0].path == "in/caf\\xe9\n x.png"
    assert get(project, "pictures", f"in/{ODD}", actor=ANN).read_bytes() == b"picture"


def test_several_adders_of_one_dataset_lose_no_version(project: Project) -> None:
    found: list[str] = []

    def work(who: int) -> None:
        folder = f"in{who}"
        for number in range(4):
            lay_out(project.folder / folder, shared=b"%d" % number * 1000, own=b"%d" % who)
            found.append(ingest(project, "pictures", path=folder, actor=ANN).ref)

    threads = [threading.Thread(target=work, args=(who,)) for who in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(found) == sorted(f"pictures@{number}" for number in range(1, 17))
    assert len(show_dataset(project, "pictures").versions) == 16
    assert verify(project).damaged == ()


def test_a_full_store_refuses_and_leaves_what_was_there(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "cd4ml-test", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no file system may be mounted here")
    monkeypatch.setenv("CD4ML_BLOBS", str(disk / "blobs"))
    try:
        with open_project(project.folder) as small:
            first = add(small, a=os.urandom(500_000), b=b"1")
            before = content(disk)
            for large in (
                {"c": os.urandom(3_000_000)},
                {f"{i}": os.urandom(200_000) for i in range(9)},
            ):
                lay_out(project.folder / "in", **large)
                with pytest.raises(Unavailable, match=r"No space left on device"):
                    ingest(small, "pictures", path="in", actor=ANN)
                assert {k for k, v in content(disk).items() if v is not None} == {
                    k for k, v in before.items() if v is not None
                }
                for name in large:
                    (project.folder / "in" / name).unlink()
            assert add(small) == first
            assert verify(small).damaged == ()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


UNPRIVILEGED = [
    "setpriv", "--bounding-set=-dac_override,-dac_read_search",
    "--inh-caps=-dac_override,-dac_read_search", "--",
]  # fmt: skip


@pytest.mark.parametrize("what", ["file", "folder", "store"])
def test_what_may_not_be_read_or_written_is_named(project: Project, what: str) -> None:
    """Root ignores permissions, so it is done by a process without that privilege."""
    add(project, a=b"1", sub__b=b"2")
    lay_out(project.folder / "in", sub__b=b"3")
    paths = {
        "file": project.folder / "in" / "sub" / "b",
        "folder": project.folder / "in" / "sub",
        "store": project.state / "blobs" / "files",
    }
    project.close()
    path = paths[what]
    mode = stat.S_IMODE(path.stat().st_mode)
    path.chmod(0o555 if what == "store" else 0)
    inner = [each for each in path.rglob("*") if each.is_dir()] if what == "store" else []
    for each in inner:
        each.chmod(0o555)
    program = (
        "import os, sys; from pathlib import Path\n"
        "from cd4ml.errors import Cd4mlError; from cd4ml.loop import open_project\n"
        "from cd4ml.loop.ingest import ingest\n"
        "if os.access(sys.argv[2], os.W_OK): print('privileged'); sys.exit()\n"
        "with open_project(Path(sys.argv[1])) as project:\n"
        "    try: ingest(project, 'pictures', path='in', actor='ann')\n"
        "    except Cd4mlError as error: print(error.message)\n"
    )
    command = [sys.executable, "-c", program, str(project.folder), str(path)]

    done = subprocess.run(
        [*UNPRIVILEGED, *command] if os.geteuid() == 0 else command,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    for each in (path, *inner):
        each.chmod(mode)
    if done.returncode or done.stdout == "privileged\n":
        assert "Traceback" not in done.stderr, done.stderr
        pytest.skip(f"no process without privileges here: {done.stderr or done.stdout}")

    expected = {
        "file": f"{path} cannot be read: Permission denied",
        "folder": f"the folder {path} cannot be read: Permission denied",
        "store": f"the store {path} does not work: [Errno 13] Permission denied: ",
    }[what]
    assert done.stdout.startswith(expected)
    with open_project(project.folder) as again:
        assert [each.version.number for each in log(again, "pictures")] == [1]
        assert verify(again).damaged == ()
