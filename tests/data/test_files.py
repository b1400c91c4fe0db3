"""What a path, a folder or a glob names; links are followed only inside."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cd4ml.data.files import Listing, files_of, left_alone, stamp_of
from cd4ml.errors import Conflict, InvalidInput, NotFound, Unavailable
from tests.data.folders import lay_out

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"]


def names(listing: Listing) -> list[str]:
    return [file.name for file in listing.files]


def test_a_folder_means_all_that_is_in_it_in_order_of_name(tmp_path: Path) -> None:
    lay_out(tmp_path, data__b=b"1", data__a__c=b"", data__a__B=b"22", other=b"x")
    (tmp_path / "data" / "empty").mkdir()

    listing = files_of(tmp_path, "data")

    assert names(listing) == ["data/a/B", "data/a/c", "data/b"]
    assert (listing.folders, listing.root) == (("data/empty",), tmp_path)
    assert listing.is_folder
    assert [file.stamp.size for file in listing.files] == [2, 0, 1]


def test_what_tools_keep_beside_the_data_is_left_out(tmp_path: Path) -> None:
    lay_out(tmp_path, a=b"", **{".git__HEAD": b"", "deep__.cd4ml__cd4ml.db": b"", ".hidden": b""})

    assert names(files_of(tmp_path, ".")) == [".hidden", "a"]


def test_what_describes_a_project_is_no_data_of_its_folder(tmp_path: Path) -> None:
    names_of_project = ("cd4ml.toml", "contracts__a.toml", ".gitignore")
    lay_out(tmp_path, a=b"", deep__contracts__b=b"", **dict.fromkeys(names_of_project, b""))

    assert names(files_of(tmp_path, ".")) == ["a", "deep/contracts/b"]
    assert names(files_of(tmp_path, "contracts")) == ["contracts/a.toml"]


def test_a_file_and_a_glob_name_files_and_no_folders(tmp_path: Path) -> None:
    lay_out(tmp_path, **{"a.csv": b"", "b.csv": b"", "sub__c.csv": b"", "sub.csv__d": b""})

    assert names(files_of(tmp_path, "a.csv")) == ["a.csv"]
    assert names(files_of(tmp_path, "*.csv")) == ["a.csv", "b.csv"]
    assert names(files_of(tmp_path, "**/*.csv")) == ["a.csv", "b.csv", "sub/c.csv"]
    assert names(files_of(tmp_path, "**/**/c.csv")) == ["sub/c.csv"]


def test_a_name_may_look_like_a_glob(tmp_path: Path) -> None:
    lay_out(tmp_path, **{"a[1].csv": b"", "a1.csv": b""})

    assert names(files_of(tmp_path, "a[1].csv")) == ["a[1].csv"]


def test_outside_of_the_project_names_begin_in_the_folder(tmp_path: Path) -> None:
    lay_out(tmp_path, **{"far__x__a.png": b"", "far__b.png": b"", "project__c": b""})
    far = tmp_path / "far"

    assert names(files_of(tmp_path / "project", str(far))) == ["b.png", "x/a.png"]
    assert names(files_of(tmp_path / "project", str(far / "**" / "*.png"))) == ["b.png", "x/a.png"]
    assert names(files_of(tmp_path / "project", str(far / "b.png"))) == ["b.png"]
    assert names(files_of(tmp_path / "project", "../far")) == ["b.png", "x/a.png"]


def test_names_of_any_bytes_are_listed(tmp_path: Path) -> None:
    odd = [b"caf\xe9", b"new\nline", b"a b", b"back\\slash"]
    for name in odd:
        (tmp_path / os.fsdecode(name)).write_bytes(b"")

    listing = files_of(tmp_path, ".")

    assert names(listing) == ["a b", "back\\\\slash", "caf\\xe9", "new\nline"]
    assert {os.fsencode(Path(file.path).name) for file in listing.files} == set(odd)


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("nothing.csv", "there is no file {root}/nothing.csv"),
        ("a.csv/b", "there is no file {root}/a.csv/b"),
        ("*.png", "no file matches '*.png' in {root}"),
        ("empty", "there is no file in the folder {root}/empty"),
    ],
)
def test_what_names_no_file_is_said(tmp_path: Path, pattern: str, message: str) -> None:
    lay_out(tmp_path, **{"a.csv": b""})
    (tmp_path / "empty").mkdir()

    with pytest.raises(NotFound) as refused:
        files_of(tmp_path, pattern)

    assert refused.value.message == message.format(root=tmp_path)


@pytest.mark.parametrize("pattern", ["a\0b", "a" * 300, "loop"])
def test_what_is_no_path_is_refused(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "loop").symlink_to("loop")

    with pytest.raises((InvalidInput, Unavailable)):
        files_of(tmp_path, pattern)


def test_links_inside_are_followed(tmp_path: Path) -> None:
    lay_out(tmp_path, data__a=b"1", shared__b=b"2")
    (tmp_path / "data" / "file").symlink_to("a")
    (tmp_path / "data" / "folder").symlink_to("../shared")

    assert names(files_of(tmp_path, "data")) == ["data/a", "data/file", "data/folder/b"]
    assert names(files_of(tmp_path, "data/*/b")) == ["data/folder/b"]


@pytest.mark.parametrize("pattern", ["data", "data/*", "data/**/*", "data/*/secret"])
def test_links_that_lead_out_are_refused(tmp_path: Path, pattern: str) -> None:
    lay_out(tmp_path, project__data__a=b"", outside__secret=b"x")
    link = tmp_path / "project" / "data" / "link"
    is_folder = pattern != "data/*"
    link.symlink_to(tmp_path / "outside" / ("" if is_folder else "secret"))

    with pytest.raises(InvalidInput) as refused:
        files_of(tmp_path / "project", pattern)

    assert refused.value.message.startswith(f"the link {link} leads out of {tmp_path}/project, to ")


@pytest.mark.parametrize("pattern", ["data", "data/**/*", "data/*/*/a"])
@pytest.mark.parametrize("target", [".", "..", "../data"])
def test_links_in_a_circle_are_refused(tmp_path: Path, pattern: str, target: str) -> None:
    lay_out(tmp_path, data__a=b"", data__b__a=b"")
    (tmp_path / "data" / "b" / "link").symlink_to(target if target == "." else f"../{target}")
    pattern = "data/b/*/a" if (pattern, target) == ("data/*/*/a", ".") else pattern
    if target == ".." and pattern == "data/*/*/a":
        (tmp_path / "a").write_bytes(b"")

    with pytest.raises(InvalidInput, match=r"the link .*/data/b/link leads in a circle, to "):
        files_of(tmp_path, pattern)


def test_a_neighbour_with_a_longer_name_is_no_circle(tmp_path: Path) -> None:
    lay_out(tmp_path, data__a__x=b"", data__ab__y=b"")
    (tmp_path / "data" / "ab" / "link").symlink_to("../a")

    assert names(files_of(tmp_path, "data")) == ["data/a/x", "data/ab/link/x", "data/ab/y"]


def test_a_broken_link_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, data__a=b"")
    (tmp_path / "data" / "link").symlink_to("gone")

    with pytest.raises(InvalidInput) as refused:
        files_of(tmp_path, "data")

    assert str(refused.value) == (
        f"the link {tmp_path}/data/link leads to {tmp_path}/data/gone, which is not there\n"
        "  hint: remove it, or put the file there"
    )


def test_a_link_that_is_named_itself_may_lead_anywhere(tmp_path: Path) -> None:
    lay_out(tmp_path, project__x=b"", outside__a=b"", outside__b=b"")
    project = tmp_path / "project"
    (project / "data").symlink_to(tmp_path / "outside")
    (project / "one").symlink_to(tmp_path / "outside" / "a")
    (tmp_path / "outside" / "inner").symlink_to("a")

    assert names(files_of(project, "data")) == ["data/a", "data/b", "data/inner"]
    assert names(files_of(project, "one")) == ["one"]


def test_what_is_no_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay_out(tmp_path, pipes__a=b"", sockets__a=b"")
    os.mkfifo(tmp_path / "pipes" / "b")
    with socket.socket(socket.AF_UNIX) as server:
        monkeypatch.chdir(tmp_path / "sockets")
        server.bind("b")

    for pattern in ("pipes", "pipes/*", "pipes/b", "sockets"):
        with pytest.raises(InvalidInput, match=r"/b is neither a file nor a folder"):
            files_of(tmp_path, pattern)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_folder_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    lay_out(tmp_path, data__secret__a=b"")
    for folder in (tmp_path, *list(tmp_path.parents)[:-2]):
        folder.chmod(folder.stat().st_mode | 0o055)
    (tmp_path / "data" / "secret").chmod(0o700)
    program = (
        "import sys; from pathlib import Path; from cd4ml.data.files import files_of\n"
        "from cd4ml.errors import Cd4mlError\n"
        "for pattern in ('data', 'data/secret', 'data/secret/a'):\n"
        "    try: files_of(Path(sys.argv[1]), pattern)\n"
        "    except Cd4mlError as error: print(type(error).__name__, error.message)\n"
    )

    done = subprocess.run(
        [*AS_NOBODY, sys.executable, "-c", program, tmp_path],
        capture_output=True, text=True, check=False, cwd="/",
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    if "ModuleNotFoundError" in done.stderr or "can't open" in done.stderr:
        pytest.skip(f"nobody else may read Python here: {done.stderr[-200:]}")

    assert done.stdout.splitlines() == [
        f"Unavailable the folder {tmp_path}/data/secret cannot be read: Permission denied",
        f"Unavailable the folder {tmp_path}/data/secret cannot be read: Permission denied",
        f"Unavailable {tmp_path}/data/secret/a cannot be read: Permission denied",
    ], done.stderr


@pytest.mark.parametrize("change", ["longer", "same size", "replaced", "gone", "time set back"])
def test_a_file_that_changes_in_the_meantime_is_named(tmp_path: Path, change: str) -> None:
    path = lay_out(tmp_path, a=b"12345") / "a"
    os.utime(path, ns=(1, 1))
    listing = files_of(tmp_path, "a")

    def disturb() -> None:
        if change == "gone":
            path.unlink()
        elif change == "replaced":
            (tmp_path / "b").write_bytes(b"54321")
            os.utime(tmp_path / "b", ns=(1, 1))
            (tmp_path / "b").replace(path)
        else:
            path.write_bytes(b"123456" if change == "longer" else b"54321")
        if change == "time set back":
            os.utime(path, ns=(1, 1))

    with pytest.raises(Conflict) as refused, left_alone(listing.files):
        disturb()

    assert str(refused.value) == (
        f"{path} changed while it was read\n  hint: add it again when nobody writes to it"
    )


def test_a_second_name_is_no_change_where_it_was_asked_for(tmp_path: Path) -> None:
    path = lay_out(tmp_path, a=b"12345") / "a"
    os.utime(path, ns=(1, 1))
    listing = files_of(tmp_path, "a")

    with left_alone(listing.files, may_be_linked=True):
        (tmp_path / "b").hardlink_to(path)

    assert stamp_of(path) != listing.files[0].stamp


@pytest.mark.parametrize("pattern", ["data", "data/a", "data/*", "data/**/*"])
def test_a_link_to_itself_is_a_circle(tmp_path: Path, pattern: str) -> None:
    lay_out(tmp_path, data__x=b"")
    (tmp_path / "data" / "a").symlink_to("a")

    with pytest.raises(InvalidInput) as refused:
        files_of(tmp_path, pattern)

    assert str(refused.value) == (
        f"the link {tmp_path}/data/a leads in a circle, to a\n  hint: remove it"
    )
